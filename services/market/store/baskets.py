"""Prices of a few cards over a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from libs.db import Reader


async def numbers(reader: Reader, ids: Sequence[str]) -> dict[str, int]:
    """The numbers of these cards, as far as they are there."""
    rows = await reader.fetch("select id, card from cards where id = any($1::text[])", list(ids))
    return {row["id"]: row["card"] for row in rows}


async def prices(
    reader: Reader, source: int, cards: Sequence[int], first: date, last: date
) -> list[tuple[int, date, int]]:
    """(card, day, market in hundredths) of a source's quotes that have one."""
    rows = await reader.fetch(
        "select card, day, market from quotes where card = any($2::int[]) and source = $1"
        " and day between $3 and $4 and market is not null",
        source,
        list(cards),
        first,
        last,
    )
    return [(row[0], row[1], row[2]) for row in rows]
