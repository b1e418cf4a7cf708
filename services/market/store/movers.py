"""Movers: a list a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from libs.db import Reader, Tx
from services.market.domain.pipeline import DayVersion

_COLUMNS = ("window_days", "ordering", "thin", "cards", "befores", "prices", "moves")


@dataclass(frozen=True, slots=True)
class MoverList:
    """The first of an order and window, by place: card numbers, prices in cents before and now, and
    how often each moved."""

    window: int
    ordering: int
    thin: bool
    cards: list[int]
    befores: list[int]
    prices: list[int]
    moves: list[int]


@dataclass(frozen=True, slots=True)
class Mover:
    """A card and how it moved; prices in cents."""

    place: int
    card: str
    display_name: str
    before: int
    price: int
    moves: int


async def replace(tx: Tx, day: DayVersion, lists: Sequence[MoverList]) -> None:
    """Stores those of a version in place of what it had."""
    key = (day.source_number, day.day, day.version)
    await tx.execute(
        "delete from mover_lists where source = $1 and day = $2 and version = $3", *key
    )
    await tx.copy_records(
        "mover_lists",
        ("source", "day", "version", *_COLUMNS),
        [
            (
                *key,
                one.window,
                one.ordering,
                one.thin,
                one.cards,
                one.befores,
                one.prices,
                one.moves,
            )
            for one in lists
        ],
    )


async def prune(tx: Tx, source: int, day: date, kept: int) -> None:
    """Forgets what is older than `kept` days before `day` and of no month's end."""
    await tx.execute(
        "delete from mover_lists where source = $1 and day <= $2::date - $3::int"
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
        "select m.place, c.id, c.display_name, m.before, m.price, m.moves from mover_lists l"
        " cross join unnest(l.cards, l.befores, l.prices, l.moves)"
        " with ordinality as m (card, before, price, moves, place) join cards c using (card)"
        " where l.source = $1 and l.day = $2 and l.version = $3 and l.window_days = $4"
        " and l.ordering = $5 and l.thin = $6 and m.place > $7 order by m.place limit $8",
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
