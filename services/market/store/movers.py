"""Movers as rows, by rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from libs.db import Reader, Tx
from services.market.domain.pipeline import DayVersion

COLUMNS = ("window_days", "ordering", "thin", "place", "card", "before", "price", "moves")
# The values of COLUMNS.
Ranked = tuple[int, int, bool, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Mover:
    """A card and how it moved; prices in cents."""

    place: int
    card: str
    display_name: str
    before: int
    price: int
    moves: int


async def replace(tx: Tx, day: DayVersion, ranked: Sequence[Ranked]) -> None:
    """Stores those of a version in place of what it had."""
    key = (day.source_number, day.day, day.version)
    await tx.execute("delete from movers where source = $1 and day = $2 and version = $3", *key)
    await tx.copy_records(
        "movers", ("source", "day", "version", *COLUMNS), [(*key, *row) for row in ranked]
    )


async def prune(tx: Tx, source: int, day: date, kept: int) -> None:
    """Forgets what is older than `kept` days before `day` and of no month's end."""
    await tx.execute(
        "delete from movers where source = $1 and day <= $2::date - $3::int"
        " and extract(day from day + 1) <> 1",
        source,
        day,
        kept,
    )


async def page(
    reader: Reader,
    day: DayVersion,
    window: int,
    ordering: int,
    *,
    thin: bool,
    after: int,
    limit: int,
) -> list[Mover]:
    """Those after a place, in order."""
    rows = await reader.fetch(
        "select m.place, c.id, c.display_name, m.before, m.price, m.moves"
        " from movers m join cards c using (card)"
        " where source = $1 and day = $2 and version = $3 and window_days = $4 and ordering = $5"
        " and thin = $6 and place > $7 order by place limit $8",
        day.source_number,
        day.day,
        day.version,
        window,
        ordering,
        thin,
        after,
        limit,
    )
    return [Mover(*row) for row in rows]
