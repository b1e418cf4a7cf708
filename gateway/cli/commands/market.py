"""`pq market`: unpack."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import Home
from gateway.cli.product import find
from gateway.cli.run import run_plain

app = typer.Typer(
    help="The market's data, looked at from inside.", no_args_is_help=True, add_completion=False
)


@app.command()
def unpack(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="Such as 2026-05.")],
    source: Annotated[
        str, typer.Option(help="Whose quotes.  [default: everybody's]", show_default=False)
    ] = "",
    table: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Make this table in the market's database.  [default: CSV on stdout]",
            show_default=False,
        ),
    ] = "",
    home: Home = None,
) -> None:
    """A month's quotes as CSV, or as a table for psql.

    Closed months are kept packed, 32 cards in a row. Takes the database of the product in the home,
    or the one PQ_MARKET_DATABASE_URL names.
    """
    from gateway.cli import local

    run_plain(
        lambda _output: local.unpack(find(home=home), month, source=source, table=table), json=False
    )
