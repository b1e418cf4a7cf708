"""`pq up`, `pq serve`, `pq migrate`, `pq doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import Gateway, Home, Json, Token
from gateway.cli.product import find, find_home
from gateway.cli.run import run, run_plain


def up(
    home: Home = None,
    listen: Annotated[
        str,
        typer.Option(
            envvar="PQ_GATEWAY_LISTEN", metavar="HOST:PORT", help="Where the gateway listens."
        ),
    ] = "127.0.0.1:8080",
    event_log: Annotated[
        str,
        typer.Option(
            envvar="PQ_EVENT_LOG",
            metavar="URL",
            help="kafka://host:port, or postgres://…  [default: the embedded PostgreSQL]",
            show_default=False,
        ),
    ] = "",
    demo_market: Annotated[
        bool, typer.Option(help="Load the demo market where the market is empty.")
    ] = True,
    json: Json = False,
) -> None:
    """Run the whole product here until Ctrl-C.

    PostgreSQL comes with it; data, keys and logs lie in the home.
    """
    from gateway.cli import up as room

    place = find_home(home)
    run_plain(
        lambda output: room.up(
            output, home=place, listen=listen, event_log=event_log, demo_market=demo_market
        ),
        json=json,
    )


def serve(
    service: Annotated[
        str, typer.Argument(help="market, alerts, delivery or gateway.", show_default=False)
    ],
) -> None:
    """Run one service in the foreground.

    It is set up by PQ_… variables alone.
    """
    from gateway.cli import local

    run_plain(lambda _output: local.serve(service), json=False)


def migrate(
    services: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SERVICE]...",
            help="Whose databases; log is the event log's. [default: all that are known]",
            show_default=False,
        ),
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Bring databases up to date.

    They are those of the product in the home, or PQ_MARKET_DATABASE_URL and the like; for one
    service PQ_DATABASE_URL does, too. Services migrate when they start: this is for whoever wants
    it done before.
    """
    from gateway.cli import local

    run(lambda output: local.migrate(output, find(home=home), services or []), json=json)


def doctor(
    home: Home = None, gateway: Gateway = None, token: Token = None, json: Json = False
) -> None:
    """Say what is up, what is not, and why.

    Shows the gateway, PostgreSQL, the event log, each service with its outbox and dead letters, and
    how far behind each consumer is.

    Exits with 0 when all is well, 6 when something is not, 3 when nothing answers.
    """
    from gateway.cli.doctor.command import doctor as work

    run(lambda output: work(output, find(home=home, gateway=gateway, token=token)), json=json)
