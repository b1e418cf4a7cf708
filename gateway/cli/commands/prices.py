"""`pq ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exits import CliError, Exit
from gateway.cli.options import Gateway, Home, Json, Market, Token
from gateway.cli.output import Output
from gateway.cli.product import find
from gateway.cli.run import run


def ingest(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE|FOLDER...",
            help="Files, .csv or .csv.gz, of a day each; or folders that hold them.",
            show_default=False,
        ),
    ] = None,
    catalog: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A catalogue. Among the files it is known by its heading, too.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[str, typer.Option(help="Whose prices they are.")] = "tcgplayer",
    backfill: Annotated[
        bool, typer.Option("--backfill", help="History: fires no alert, however new it is.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 5 when rows were set aside, too.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on after a file that was refused.")
    ] = False,
    patience: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="How long to wait for a market that is away."),
    ] = 60.0,
    home: Home = None,
    gateway: Gateway = None,
    market: Market = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Send days of prices, and catalogues, to the market.

    Catalogues go first, then days in their order. A file that was sent before is recognised and
    changes nothing, so the same command can always be run again. Bad rows are set aside and shown;
    a file that cannot be read at all is refused as a whole, and nothing of it is kept.
    """

    async def work(output: Output) -> Exit:
        from gateway.cli.ingest.command import ingest as send
        from gateway.cli.ingest.files import collect
        from gateway.cli.ingest.upload import Terms

        files = collect(paths or [], catalog or [])
        if not files:
            raise CliError(
                Exit.USAGE, "nothing_to_send", "name a file or a folder", "pq ingest --help"
            )
        product = find(home=home, gateway=gateway, token=token, targets={"market": market})
        terms = Terms(source, backfill, patience)
        return await send(output, product, files, terms, strict=strict, keep_going=keep_going)

    run(work, json=json)
