"""`pq report`: quality, backtest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import Gateway, Home, Json, Token
from gateway.cli.product import find
from gateway.cli.run import run

if TYPE_CHECKING:
    from gateway.cli.client import Rest
    from gateway.cli.exits import Exit
    from gateway.cli.output import Output

app = typer.Typer(
    help="Reports as HTML pages, each one file with its plots.",
    no_args_is_help=True,
    add_completion=False,
)
TIMEOUT = 60.0

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to.", dir_okay=False)]


@app.command()
def quality(
    out: Out = Path("quality.html"),
    source: Annotated[str, typer.Option(help="Whose prices.")] = "tcgplayer",
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Day files, for naive averages beside the indices.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """How far the market's numbers can be believed: factors with canaries, what is unknown and why,
    flagged prices, indices, movers."""
    from gateway.cli.report.quality import quality as write

    _run(lambda output, rest: write(output, rest, source, out, prices), home, gateway, token, json)


@app.command()
def backtest(
    name: Annotated[str, typer.Argument(metavar="NAME", help="backtests/bkt_…")],
    out: Out = Path("backtest.html"),
    home: Home = None,
    gateway: Gateway = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """A backtest with its plot, its trades, and what is needed to make it again. Takes the token of
    its account."""
    from gateway.cli.report.backtest import backtest as write

    _run(lambda output, rest: write(output, rest, name, out), home, gateway, token, json)


def _run(
    work: Callable[[Output, Rest], Awaitable[Exit]],
    home: Home,
    gateway: Gateway,
    token: Token,
    json: bool,
) -> None:
    async def connected(output: Output) -> Exit:
        from gateway.cli.client import Rest

        product = find(home=home, gateway=gateway, token=token)
        async with Rest(product.gateway, product.token(), timeout=TIMEOUT) as rest:
            return await work(output, rest)

    run(connected, json=json)
