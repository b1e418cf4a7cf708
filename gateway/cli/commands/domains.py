"""`pq domains`: check, show, list, add, update, remove."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exits import Exit
from gateway.cli.options import Gateway, Home, Json, Token
from gateway.cli.output import Output
from gateway.cli.run import run_connected

if TYPE_CHECKING:
    from gateway.cli.client import Rest

app = typer.Typer(
    help="Domains that e-mail is sent from: what DNS must hold, what it holds, what is wrong.\n\n"
    "Changing or checking one takes an operator's token.",
    no_args_is_help=True,
    add_completion=False,
)

# A check may take eight seconds at the server.
TIMEOUT = 15.0

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

    run_connected(
        lambda output, rest: domains.check(output, rest, name),
        home=home,
        gateway=gateway,
        token=token,
        json=json,
        timeout=TIMEOUT,
    )


@app.command()
def show(
    name: Name, home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """Show what the last check found."""
    from gateway.cli import domains

    run_connected(
        lambda output, rest: domains.show(output, rest, name),
        home=home,
        gateway=gateway,
        token=token,
        json=json,
        timeout=TIMEOUT,
    )


@app.command("list")
def list_(
    home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """List all sending domains with their faults."""
    from gateway.cli import domains

    run_connected(domains.list_domains, home, gateway, token, json=json, timeout=TIMEOUT)


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

    run_connected(work, home, gateway, token, json=json, timeout=TIMEOUT)


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

    run_connected(work, home, gateway, token, json=json, timeout=TIMEOUT)


@app.command()
def remove(
    name: Name, home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """Check a domain no more."""
    from gateway.cli import domains

    run_connected(
        lambda output, rest: domains.remove(output, rest, name),
        home=home,
        gateway=gateway,
        token=token,
        json=json,
        timeout=TIMEOUT,
    )
