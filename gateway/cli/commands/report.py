"""`pq report`: quality, backtest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import Gateway, Home, Json, Token
from gateway.cli.run import run_connected

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

    run_connected(
        lambda output, rest: write(output, rest, source, out, prices),
        home=home,
        gateway=gateway,
        token=token,
        json=json,
        timeout=TIMEOUT,
    )


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

    run_connected(
        lambda output, rest: write(output, rest, name, out),
        home=home,
        gateway=gateway,
        token=token,
        json=json,
        timeout=TIMEOUT,
    )
