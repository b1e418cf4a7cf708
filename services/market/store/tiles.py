"""Quotes of closed months: tiles of 32 neighbouring cards, written and read by the set.

A day is either here or in rows, and which says `rows_from`. It moves on only while no import is
under way, so that a transaction that holds a source's lock finds the source's days where they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from libs.db import Reader, Tx
from services.market.domain import months, tiles
from services.market.domain.changes import NO_DAY, Ints, Known
from services.market.domain.money import NONE
from services.market.domain.prices import FIELDS, MARKET, Cents
from services.market.domain.tiles import ABSENT, CARDS
from services.market.store import wire

_COLUMNS = ", ".join(FIELDS)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Month:
    """Tiles of one source in a month: `firsts` are their first cards, ascending, and `cells` are
    fields × tiles × CARDS × days of cents, as in domain.tiles."""

    firsts: Ints
    cells: npt.NDArray[np.int32]

    @classmethod
    def empty(cls, firsts: Ints, days: int) -> Month:
        """Tiles without a quote."""
        return cls(firsts, np.full((len(FIELDS), len(firsts), CARDS, days), ABSENT, np.int32))

    def places(self, cards: Ints) -> tuple[npt.NDArray[np.intp], Ints]:
        """The tile of each card, and its row there. The tiles are there."""
        return np.searchsorted(self.firsts, block(cards)), cards % CARDS

    def count(self) -> int:
        """How many quotes there are."""
        return int(np.count_nonzero(self.cells[MARKET] != ABSENT))

    def by_column(self, month: date) -> tuple[Ints, Ints, Cents]:
        """The quotes that there are: their cards, their day numbers, and n × fields of cents."""
        tile, row, day = np.nonzero(self.cells[MARKET] != ABSENT)
        cards = (self.firsts[tile] + row).astype(np.int32)
        days = (wire.day_number(month) + day).astype(np.int32)
        return cards, days, np.ascontiguousarray(self.cells[:, tile, row, day].T)


def block(cards: Ints) -> Ints:
    """The first cards of the tiles that cards are in."""
    return cards - cards % CARDS


async def rows_from(reader: Reader) -> date:
    """The first day that is kept in rows."""
    day: date = await reader.fetchval("select rows_from from quote_storage")
    return day


async def steady(reader: Reader, read: Callable[[date], Awaitable[T]]) -> T:
    """What `read` answers, told where rows begin; again, where a month was closed meanwhile."""
    before = await rows_from(reader)
    while True:
        found = await read(before)
        now = await rows_from(reader)
        if now == before:
            return found
        before = now


async def advance(tx: Tx, day: date) -> None:
    """Has rows begin at a day."""
    await tx.execute("update quote_storage set rows_from = $1", day)


async def read_month(
    reader: Reader, source: int, month: date, fields: Sequence[str] = FIELDS
) -> Month:
    """All tiles of a month, of some fields in their order."""
    rows = await _rows(reader, source, month, fields)
    return await asyncio.to_thread(_opened, rows, month)


async def _rows(
    reader: Reader, source: int, month: date, fields: Sequence[str], firsts: Ints | None = None
) -> Sequence[Any]:
    """Tiles of a month as they are stored: the first card, then the fields; of `firsts` alone,
    where they are given."""
    which, wanted = "", []
    if firsts is not None:
        which = " join unnest($3::text::int[]) as u (first_card) using (first_card)"
        wanted.append(wire.array(firsts))
    return await reader.fetch(
        f"select first_card, {', '.join(fields)} from quote_tiles{which}"
        " where source = $1 and month = $2 order by first_card",
        source,
        month,
        *wanted,
    )


async def read_day(reader: Reader, source: int, day: date) -> tuple[Ints, Cents]:
    """All quotes of a source on a day: their cards, and n × 5 cents."""
    found = await read_month(reader, source, months.month_of(day))
    column = found.cells[:, :, :, day.day - 1]
    tile, row = np.nonzero(column[MARKET] != ABSENT)
    cards = (found.firsts[tile] + row).astype(np.int32)
    return cards, np.ascontiguousarray(column[:, tile, row].T)


async def write(
    tx: Tx, source: int, day: date, cards: Ints, cents: Cents, gone: Ints | None
) -> None:
    """Takes quotes of a day away, those of `gone`, and puts others in their place."""
    month = months.month_of(day)
    touched = cards if gone is None else np.concatenate([cards, gone])
    firsts = np.unique(block(touched))
    rows = await _rows(tx, source, month, FIELDS, firsts)

    def changed() -> list[list[bytes]]:
        whole = Month.empty(firsts, months.days_in(month))
        there = _opened(rows, month)
        whole.cells[:, np.searchsorted(firsts, there.firsts)] = there.cells
        if gone is not None:
            whole.cells[:, *whole.places(gone), day.day - 1] = ABSENT
        whole.cells[:, *whole.places(cards), day.day - 1] = cents.T
        return packed(whole)

    await insert(tx, source, month, firsts, await asyncio.to_thread(changed))


def packed(month: Month) -> list[list[bytes]]:
    """The tiles' data, field by field."""
    return [tiles.pack(field) for field in month.cells]


async def insert(
    tx: Tx, source: int, month: date, firsts: Ints, data: Sequence[Sequence[bytes]]
) -> None:
    """Stores tiles in place of those with the same first cards."""
    await tx.execute(_INSERT, source, month, wire.array(firsts), *data)


async def packed_month(reader: Reader, source: int, month: date) -> list[list[bytes]]:
    """The data of a month's tiles, field by field."""
    rows = await _rows(reader, source, month, FIELDS)
    return [[row[field] for row in rows] for field in FIELDS]


@dataclass(frozen=True, slots=True)
class Newest:
    """Row by row: the newest quote, and the newest market price that is known. `days` is NO_DAY
    where there is none."""

    days: Ints
    cents: Cents
    known: Known


async def newest(
    reader: Reader, source: int, before: date, cards: Ints, *, known_only: bool = False
) -> Newest:
    """The newest before a day, in the order of `cards`, in as many months as it takes.

    With `known_only` the newest quotes are not looked for.
    """
    found = Newest(
        np.full(len(cards), NO_DAY, np.int32),
        np.full((len(cards), len(FIELDS)), NONE, np.int32),
        Known.nothing(len(cards)),
    )
    fields = FIELDS[MARKET : MARKET + 1] if known_only else FIELDS
    first = await reader.fetchval("select min(month) from quote_tiles where source = $1", source)
    month = months.month_of(before)
    left = np.arange(len(cards))
    while first is not None and month >= first and len(left):
        rows = await _rows(reader, source, month, fields, np.unique(block(cards[left])))
        if rows:
            await asyncio.to_thread(_take_newest, found, rows, month, before, cards, left)
        missing = found.known.days[left] == NO_DAY
        if not known_only:
            missing |= found.days[left] == NO_DAY
        left = left[missing]
        month = months.before(month)
    return found


def _take_newest(
    found: Newest,
    rows: Sequence[Any],
    month: date,
    before: date,
    cards: Ints,
    left: npt.NDArray[np.intp],
) -> None:
    """Fills in what a month knows of the cards that are left."""
    there = _opened(rows, month)
    left = left[np.isin(block(cards[left]), there.firsts)]
    tile, row = there.places(cards[left])
    stop = min((before - month).days, there.cells.shape[3])
    cells = there.cells[:, tile, row, :stop]
    start = wire.day_number(month)
    last = _last(cells[MARKET] > NONE)
    new = np.flatnonzero((last >= 0) & (found.known.days[left] == NO_DAY))
    found.known.days[left[new]] = start + last[new]
    found.known.cents[left[new]] = cells[MARKET, new, last[new]]
    if len(cells) == len(FIELDS):
        last = _last(cells[MARKET] != ABSENT)
        new = np.flatnonzero((last >= 0) & (found.days[left] == NO_DAY))
        found.days[left[new]] = start + last[new]
        found.cents[left[new]] = cells[:, new, last[new]].T


def _last(there: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """The last true place of each row, -1 where there is none."""
    if not there.shape[1]:
        return np.full(len(there), -1)
    places = there.shape[1] - 1 - np.argmax(there[:, ::-1], axis=1)
    return np.where(there.any(axis=1), places, -1)


def of_cards(month: date, data: Sequence[bytes], cards: Ints) -> tuple[Ints, Ints, Cents]:
    """Quotes of cards in their tile, whose fields are given: cards, day numbers, n × 5 cents."""
    days = months.days_in(month)
    cells = np.stack([tiles.unpack([one], days)[0, cards % CARDS] for one in data])
    row, day = np.nonzero(cells[MARKET] != ABSENT)
    return cards[row], (wire.day_number(month) + day).astype(np.int32), cells[:, row, day].T


def of_card(month: date, data: Sequence[bytes], card: int) -> tuple[Ints, Cents]:
    """The same of one card: day numbers, and n × 5 cents."""
    _, days, cents = of_cards(month, data, np.array([card], np.int32))
    return days, cents


def opened(firsts: Ints, data: Iterable[Sequence[bytes]], month: date) -> Month:
    """Tiles from their data, field by field."""
    days = months.days_in(month)
    return Month(firsts, np.stack([tiles.unpack(field, days) for field in data]))


def _opened(rows: Sequence[Any], month: date) -> Month:
    """Tiles as they were read: the first card, then the fields."""
    if not rows:
        return Month.empty(np.zeros(0, np.int32), months.days_in(month))
    firsts, *data = zip(*rows, strict=True)
    return opened(np.array(firsts, np.int32), data, month)


_INSERT = f"""
insert into quote_tiles (source, month, first_card, {_COLUMNS})
select $1, $2, u.* from unnest($3::text::int[], $4::bytea[], $5::bytea[], $6::bytea[],
    $7::bytea[], $8::bytea[]) as u
order by 3
on conflict (first_card, month, source) do update set
    market = excluded.market, low = excluded.low, mid = excluded.mid, high = excluded.high,
    direct_low = excluded.direct_low
"""
