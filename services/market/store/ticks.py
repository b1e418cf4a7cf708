"""Suspect ticks as rows; verdicts come later and rewrite nothing of their day's prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from libs.api import filters
from libs.db import Reader, Tx
from services.market.domain.pipeline import DayVersion

OPEN, CLEARED, CONFIRMED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Tick:
    """A suspect tick of a card number; prices in cents."""

    card: int
    day: date
    before: int
    price: int
    low: int
    verdict: int = OPEN
    verdict_day: date | None = None


async def replace(tx: Tx, day: DayVersion, found: Sequence[Tick]) -> None:
    """Stores those of a version in place of what it had."""
    key = (day.source_number, day.day, day.version)
    await tx.execute(
        "delete from suspect_ticks where source = $1 and day = $2 and version = $3", *key
    )
    await tx.copy_records(
        "suspect_ticks",
        ("source", "day", "version", "card", "before", "price", "low", "verdict"),
        [(*key, tick.card, tick.before, tick.price, tick.low, OPEN) for tick in found],
    )


async def open_ones(reader: Reader, source: int, first: date, last: date) -> list[Tick]:
    """Open ones of a time, of the newest version of their day."""
    rows = await reader.fetch(
        "select card, day, before, price, low from suspect_ticks t"
        " where source = $1 and verdict = 0 and day between $2 and $3 and version ="
        " (select max(version) from snapshots n where n.source = t.source and n.day = t.day)",
        source,
        first,
        last,
    )
    return [Tick(*row) for row in rows]


async def settle(tx: Tx, source: int, settled: Sequence[Tick]) -> None:
    """Stores verdicts."""
    await tx.execute(
        "update suspect_ticks t set verdict = v.verdict, verdict_day = v.day"
        " from unnest($2::int[], $3::date[], $4::int[], $5::date[]) as v(card, of, verdict, day)"
        " where t.source = $1 and t.card = v.card and t.day = v.of and t.verdict = 0",
        source,
        [tick.card for tick in settled],
        [tick.day for tick in settled],
        [tick.verdict for tick in settled],
        [tick.verdict_day for tick in settled],
    )


FILTERS = {
    "day": filters.day("t.day"),
    "source": filters.text("s.name"),
    "verdict": filters.choice(
        "t.verdict", {"open": OPEN, "cleared": CLEARED, "confirmed": CONFIRMED}
    ),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A tick of any card. `place` tells those of one day apart."""

    tick: Tick
    card: str
    display_name: str
    place: int


async def page(
    reader: Reader, where: filters.Where, after: tuple[date, int] | None, limit: int
) -> list[Listed]:
    """Of all cards, newest day first, of the newest version of each day, after a day and place.
    `where` counts from 4."""
    day, place = after or (None, None)
    rows = await reader.fetch(
        "select t.card, t.day, t.before, t.price, t.low, t.verdict, t.verdict_day, c.id,"
        " c.display_name, t.card * 256 + t.source as place"
        " from suspect_ticks t join cards c using (card)"
        " join sources s on s.source = t.source where t.version ="
        " (select max(version) from snapshots n where n.source = t.source and n.day = t.day)"
        " and ($1::date is null or t.day < $1 or (t.day = $1 and t.card * 256 + t.source > $2))"
        f" and {where.sql} order by t.day desc, place limit $3",
        day,
        place,
        limit,
        *where.params,
    )
    return [Listed(Tick(*row[:7]), row[7], row[8], row[9]) for row in rows]


async def of_card(reader: Reader, source: int, card: int, first: date, last: date) -> list[Tick]:
    """A card's, newest first."""
    rows = await reader.fetch(
        "select distinct on (day) card, day, before, price, low, verdict, verdict_day"
        " from suspect_ticks where card = $1 and source = $2 and day between $3 and $4"
        " order by day desc, version desc",
        card,
        source,
        first,
        last,
    )
    return [Tick(*row) for row in rows]
