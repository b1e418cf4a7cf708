"""`pq tail`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.exits import Exit
from gateway.cli.options import Home, Json
from gateway.cli.output import Output
from gateway.cli.product import find
from gateway.cli.run import run


def tail(
    topics: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TOPIC]...",
            help="Topics, in full or in part; dlq finds dead letters. [default: all but those]",
            show_default=False,
        ),
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="From the oldest event that is still there.")
    ] = False,
    key: Annotated[str | None, typer.Option(help="Only events of this key.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="End after so many events.")
    ] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more at the end, as tail -f does.")] = True,
    home: Home = None,
    json: Json = False,
) -> None:
    """Print the events of the log as they come.

    It reads along: nobody's position moves.
    """

    async def work(output: Output) -> Exit:
        from gateway.cli.tail import tail as read

        return await read(
            output,
            find(home=home).log_url(),
            topics or [],
            from_beginning=from_beginning,
            key=key,
            limit=limit,
            follow=follow,
        )

    run(work, json=json)
