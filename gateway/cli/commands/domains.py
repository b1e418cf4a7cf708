"""`pq domains`: check, show, list, add, update, remove."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exits import Exit
from gateway.cli.options import Gateway, Home, Json, Token
from gateway.cli.output import Output
from gateway.cli.product import find
from gateway.cli.run import run

if TYPE_CHECKING:
    from gateway.cli.client import Rest

app = typer.Typer(
    help="Domains that e-mail is sent from: what DNS must hold, what it holds, what is wrong.\n\n"
    "Changing or checking one takes an operator's token.",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="example.com", show_default=False)]

Senders = Annotated[
    list[str] | None,
    typer.Option(
        "--sender",
        metavar="TERM",
        help="Who sends for it, in SPF's words: include:…, ip4:…; may be repeated.",
        show_default=False,
    ),
]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="SELECTOR[=KEY]",
        help="A DKIM key; KEY is the public key, or @ and its file; may be repeated.",
        show_default=False,
    ),
]
Envelope = Annotated[
    str, typer.Option(metavar="DOMAIN", help="The domain of MAIL FROM, where it is another.")
]
Reports = Annotated[str, typer.Option(metavar="ADDRESS", help="Where DMARC's reports go.")]


@app.command()
def check(
    name: Name, home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """Check a domain now. Exits with 6 where something fails."""
    from gateway.cli import domains

    _run(lambda output, rest: domains.check(output, rest, name), home, gateway, token, json=json)


@app.command()
def show(
    name: Name, home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """Show what the last check found."""
    from gateway.cli import domains

    _run(lambda output, rest: domains.show(output, rest, name), home, gateway, token, json=json)


@app.command("list")
def list_(
    home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """List all sending domains with their faults."""
    from gateway.cli import domains

    _run(domains.list_domains, home, gateway, token, json=json)


@app.command()
def add(
    name: Name,
    sender: Senders = None,
    key: Keys = None,
    envelope: Envelope = "",
    reports: Reports = "",
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Add a domain, check it, and print the records that its DNS lacks."""
    from gateway.cli import domains

    def work(output: Output, rest: Rest) -> Awaitable[Exit]:
        return domains.add(
            output,
            rest,
            name,
            senders=sender or [],
            keys=key or [],
            envelope=envelope,
            reports=reports,
        )

    _run(work, home, gateway, token, json=json)


@app.command()
def update(
    name: Name,
    sender: Senders = None,
    key: Keys = None,
    envelope: Envelope = "",
    reports: Reports = "",
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Change a domain and check it. What is given takes the place of all that was there."""
    from gateway.cli import domains

    def work(output: Output, rest: Rest) -> Awaitable[Exit]:
        return domains.update(
            output,
            rest,
            name,
            senders=sender or [],
            keys=key or [],
            envelope=envelope,
            reports=reports,
        )

    _run(work, home, gateway, token, json=json)


@app.command()
def remove(
    name: Name, home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """Check a domain no more."""
    from gateway.cli import domains

    _run(lambda output, rest: domains.remove(output, rest, name), home, gateway, token, json=json)


def _run(
    work: Callable[[Output, Rest], Awaitable[Exit]],
    home: Home,
    gateway: Gateway,
    token: Token,
    *,
    json: bool,
) -> None:
    async def connected(output: Output) -> Exit:
        from gateway.cli.client import Rest
        from gateway.cli.domains import TIMEOUT

        product = find(home=home, gateway=gateway, token=token)
        async with Rest(product.gateway, product.token(), timeout=TIMEOUT) as rest:
            return await work(output, rest)

    run(connected, json=json)
