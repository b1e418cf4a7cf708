"""`pq listen`, `pq demo` and `pq webhook`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.exits import CliError, Exit
from gateway.cli.options import Gateway, Home, Json, Market, Token
from gateway.cli.output import Output
from gateway.cli.product import find
from gateway.cli.run import run

app = typer.Typer(
    help="Receivers of webhooks.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _webhook() -> None:
    """Receivers of webhooks."""


def listen(
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 9000,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    secret: Annotated[
        list[str] | None,
        typer.Option(
            envvar="PQ_WEBHOOK_SECRET",
            metavar="whsec_…",
            help="The endpoint's secret; twice while it is rotated.",
            show_default=False,
        ),
    ] = None,
    bodies: Annotated[bool, typer.Option("--bodies", help="Print bodies, too.")] = False,
    fail: Annotated[
        str | None,
        typer.Option(
            metavar="N%",
            help="Fail so many of all deliveries. [default: all, where a failure is asked for]",
            show_default=False,
        ),
    ] = None,
    status: Annotated[
        int | None,
        typer.Option(
            metavar="STATUS",
            min=100,
            max=599,
            help="Fail with this status. [default: 500, or 429 with --retry-after]",
            show_default=False,
        ),
    ] = None,
    slow: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Answer after so long.",
            show_default=False,
        ),
    ] = 0.0,
    retry_after: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Fail with a Retry-After header.",
            show_default=False,
        ),
    ] = None,
    gone: Annotated[
        bool,
        typer.Option("--gone", help="Fail with 410: do not come back."),
    ] = False,
    drop: Annotated[
        bool,
        typer.Option("--drop", help="Fail by cutting the connection."),
    ] = False,
    json: Json = False,
) -> None:
    """Receive webhooks: print, verify, misbehave if told to.

    For development. Each delivery is checked against the secret by the independent package
    standardwebhooks, and printed with how often its id was seen.
    """

    async def work(output: Output) -> Exit:
        from gateway.cli.webhooks.behaviour import behaviour
        from gateway.cli.webhooks.listen import listen as receive

        try:
            how = behaviour(
                fail=fail,
                status=status,
                slow=slow,
                retry_after=retry_after,
                gone=gone,
                drop=drop,
            )
        except ValueError as error:
            raise CliError(Exit.USAGE, "bad_options", str(error)) from None
        return await receive(
            output, host=host, port=port, secrets=secret or [], behaviour=how, bodies=bodies
        )

    run(work, json=json)


def demo(
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="How long the whole way may take.")
    ] = 30.0,
    home: Home = None,
    gateway: Gateway = None,
    market: Market = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Show one price become a signed webhook, with times.

    Signs up, registers a webhook that a receiver here takes, sets an alert on a card of the demo
    market, sends the next day's price of that card, and follows it. Takes away what it made.
    """

    async def work(output: Output) -> Exit:
        from gateway.cli.demo.command import demo as show

        product = find(home=home, gateway=gateway, token=token, targets={"market": market})
        return await show(output, product, timeout=timeout)

    run(work, json=json)


@app.command()
def check(
    url: Annotated[str, typer.Argument(metavar="URL", help="The receiver.", show_default=False)],
    secret: Annotated[
        str,
        typer.Option(
            envvar="PQ_WEBHOOK_SECRET",
            metavar="whsec_…",
            help="The secret that it verifies with.",
            show_default=False,
        ),
    ],
    event_type: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="The type of what it is sent.")
    ] = "alert.triggered",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="CASE", help="Only this case; may be repeated.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Check a receiver: send it right and wrong deliveries, and say what it gets wrong.

    The deliveries are made here and sent from here; pq need not run. A right receiver takes what
    is signed with its secret, whatever is in it, and refuses all else. Exits with 6 where
    something is wrong.
    """

    async def work(output: Output) -> Exit:
        from gateway.cli.webhooks.check.command import check as play

        return await play(output, url=url, secret=secret, event_type=event_type, only=only or [])

    run(work, json=json)
