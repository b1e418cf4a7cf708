"""`pq token`: create, list, revoke, rotate, exchange."""

from __future__ import annotations

from collections.abc import Awaitable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exits import Exit
from gateway.cli.options import Gateway, Home, Json, Token
from gateway.cli.output import Output
from gateway.cli.run import run_connected

if TYPE_CHECKING:
    from gateway.cli.client import Rest

app = typer.Typer(
    help="Make, list and end tokens.\n\nYour account's; with an admin's token, operators'.",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[str, typer.Argument(metavar="TOKEN_NAME", help="tok_…", show_default=False)]


class Role(StrEnum):
    """What an operator's token may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    INGEST = "ingest"


@app.command()
def create(
    role: Annotated[
        Role | None,
        typer.Option(
            help="An operator's role; an admin alone may. [default: an account's token]",
            show_default=False,
        ),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="For an account's: it may only read.")
    ] = False,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="In 90d, 12h …, or 2027-01-31. [default: never]",
            show_default=False,
        ),
    ] = None,
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Make a token. Its secret is printed on stdout, this once."""
    from gateway.cli import tokens

    def work(output: Output, rest: Rest) -> Awaitable[Exit]:
        return tokens.create(
            output,
            rest,
            name=name,
            role=role.value if role else None,
            read_only=read_only,
            expires=expires,
        )

    run_connected(work, home, gateway, token, json=json)


@app.command("list")
def list_(
    home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """List tokens, newest first; never their secrets."""
    from gateway.cli import tokens

    run_connected(tokens.list_tokens, home, gateway, token, json=json)


@app.command()
def revoke(
    name: Name, home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """End a token. Access tokens made from it end within five minutes."""
    from gateway.cli import tokens

    run_connected(
        lambda output, rest: tokens.revoke(output, rest, name),
        home=home,
        gateway=gateway,
        token=token,
        json=json,
    )


@app.command()
def rotate(
    name: Name,
    overlap: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long the old one still works, to 7d. [default: it ends at once]",
            show_default=False,
        ),
    ] = None,
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Make a token's successor, equal in what it may do."""
    from gateway.cli import tokens

    run_connected(
        lambda output, rest: tokens.rotate(output, rest, name, overlap),
        home,
        gateway,
        token,
        json=json,
    )


@app.command()
def exchange(
    home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """Print a short-lived access token for the gRPC services."""
    from gateway.cli import tokens

    run_connected(tokens.exchange, home, gateway, token, json=json)
