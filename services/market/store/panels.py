"""A source's prices as matrices, kept from day to day: what analytics reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import numpy as np
import numpy.typing as npt

from libs.db import Database
from services.market.analytics.panel import NONE, Panel
from services.market.domain import months
from services.market.domain.prices import FIELDS, LOW, MARKET
from services.market.domain.tiles import CARDS
from services.market.store import quotes, tiles, wire

Ints = npt.NDArray[np.int32]

# A year, and what its first day looks back on.
DAYS = 400
# From so many changed days on, reading everything anew is quicker than day by day.
_MANY = 20
# Months that are read side by side: the server makes one while another is unpacked.
_AT_ONCE = 2
_FIELDS = (FIELDS[MARKET], FIELDS[LOW])


@dataclass(frozen=True, slots=True)
class Prices:
    """Row i of both panels is card number `cards[i]`; the numbers ascend."""

    cards: Ints
    market: Panel
    low: Panel

    def as_of(self, day: date) -> Prices:
        """The same as it was at the end of `day`. Raises as Panel.index does."""
        return Prices(self.cards, self.market.as_of(day), self.low.as_of(day))

    def row_of(self, card: int) -> int | None:
        """The row of a card number."""
        place = int(np.searchsorted(self.cards, card))
        return place if place < len(self.cards) and self.cards[place] == card else None


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is in memory, and of which version each of its days is."""

    source: int
    prices: Prices
    versions: Mapping[date, int]


@dataclass(frozen=True, slots=True)
class _Old:
    """The cents of what was kept: market and low, from `first` on."""

    cards: Ints
    first: date
    cents: tuple[Ints, Ints]

    @classmethod
    def of(cls, prices: Prices) -> _Old:
        return cls(prices.cards, prices.market.first, (prices.market.cents, prices.low.cents))


class Panels:
    """Keeps the matrices of one source, the one asked for last.

    Each call looks which versions its days have; only days of another version are read. Matrices
    that were handed out never change.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: _Kept | None = None
        self._lock = asyncio.Lock()

    async def upto(self, source: int, day: date, days: int = DAYS) -> Prices:
        """The source's newest known prices of `days` days up to `day`, fewer where it is younger.

        Raises LookupError where the source has no day up to then.
        """
        async with self._lock:
            newest = await self._db.fetchval(
                "select max(day) from snapshots where source = $1", source
            )
            if newest is None or newest < day - timedelta(days=days):
                raise LookupError(f"the source has nothing in the {days} days up to {day}")
            # What is kept ends with the newest day, so that a day before it needs no other.
            last = newest if newest - day < timedelta(days=days // 2) else day
            prices = await self._between(source, last - timedelta(days=days - 1), last)
        if prices.market.first > day:
            raise LookupError(f"the source has nothing up to {day}")
        return prices if prices.market.last == day else prices.as_of(day)

    async def between(self, source: int, first: date, last: date) -> Prices:
        """The source's newest known prices of a time that it has days in.

        Raises LookupError where it has none.
        """
        async with self._lock:
            return await self._between(source, first, last)

    async def around(
        self, source: int, cards: Ints, days: Sequence[date], back: int
    ) -> list[Panel]:
        """Market prices of these cards, on each of the days and so many before it."""
        found = []
        for day in days:
            first = day - timedelta(days=back)
            cents = np.full((len(_FIELDS), len(cards), back + 1), NONE, np.int32)
            await self._read_all(source, cards, first, day, cents)
            found.append(Panel.load(first, cents[0]))
        return found

    def forget(self) -> None:
        """Lets go of what is kept."""
        self._kept = None

    async def _between(self, source: int, first: date, last: date) -> Prices:
        versions = await self._versions(source, first, last)
        if not versions:
            raise LookupError(f"the source has nothing from {first} to {last}")
        self._kept = await self._synced(source, versions, last)
        return self._kept.prices

    async def _versions(self, source: int, first: date, last: date) -> dict[date, int]:
        rows = await self._db.fetch(
            "select day, max(version) from snapshots"
            " where source = $1 and day between $2 and $3 group by day order by day",
            source,
            first,
            last,
        )
        return {row[0]: row[1] for row in rows}

    async def _synced(self, source: int, versions: dict[date, int], last: date) -> _Kept:
        first = min(versions)
        kept = self._kept if self._kept is not None and self._kept.source == source else None
        known = kept.versions if kept is not None else {}
        changed = [day for day, version in versions.items() if known.get(day) != version]
        if kept is not None and not changed and kept.prices.market.last == last:
            return kept
        old = None if kept is None else _Old.of(kept.prices)
        # Of what is kept the cents alone are needed; the memory of its logarithms is.
        kept = self._kept = None
        cards = await self._cards(source)
        shape = (len(cards), (last - first).days + 1)
        cents = np.full((2, *shape), NONE, np.int32)
        if old is None or len(changed) > _MANY:
            old = None
            await self._read_all(source, cards, first, last, cents)
        else:
            _take_over(old, cards, first, cents)
            old = None
            for day in changed:
                column = (day - first).days
                found, prices = await quotes.read_day(self._db, source, day)
                rows = np.searchsorted(cards, found)
                cents[:, :, column] = NONE
                cents[0, rows, column] = prices[:, MARKET]
                cents[1, rows, column] = prices[:, LOW]
        market, low = await asyncio.to_thread(_panels, first, cents)
        return _Kept(source, Prices(cards, market, low), versions)

    async def _cards(self, source: int) -> Ints:
        found = await self._db.fetchval(
            "select array_agg(card order by card) from card_latest where source = $1", source
        )
        return np.array(found or [], np.int32)

    async def _read_all(
        self, source: int, cards: Ints, first: date, last: date, cents: npt.NDArray[np.int32]
    ) -> None:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def read(start: date, stop: date) -> None:
            part = cents[:, :, (start - first).days : (stop - first).days + 1]
            filled = partial(self._read_month, source, cards, start, stop, part)
            async with at_once:
                await tiles.steady(self._db, filled)

        async with asyncio.TaskGroup() as group:
            # The newest first: those in rows take the server longest.
            for span in reversed(list(months.cut(first, last))):
                group.create_task(read(*span))

    async def _read_month(
        self,
        source: int,
        cards: Ints,
        start: date,
        stop: date,
        cents: npt.NDArray[np.int32],
        rows_from: date,
    ) -> None:
        """Fills in the days from `start` to `stop`, all of one month."""
        if start < rows_from:
            month = months.month_of(start)
            found = await tiles.read_month(self._db, source, month, _FIELDS)
            await asyncio.to_thread(_fill_tiles, found, cards, start.day - 1, cents)
        else:
            columns = await quotes.read_rows(self._db, source, start, stop, _FIELDS)
            await asyncio.to_thread(_fill_rows, columns, cards, start, cents)


def _fill_rows(
    columns: Sequence[Ints], cards: Ints, start: date, cents: npt.NDArray[np.int32]
) -> None:
    card, day, *values = columns
    places = np.searchsorted(cards, card), day - wire.day_number(start)
    for prices, column in zip(cents, values, strict=True):
        prices[places] = column


def _fill_tiles(
    found: tiles.Month, cards: Ints, skipped: int, cents: npt.NDArray[np.int32]
) -> None:
    """The tiles' days after so many; what a quote that is there lacks is the same as no quote."""
    numbers = (found.firsts[:, None] + np.arange(CARDS, dtype=np.int32)).ravel()
    rows = np.searchsorted(cards, numbers)
    there = rows < len(cards)
    there[there] = cards[rows[there]] == numbers[there]
    stop = skipped + cents.shape[2]
    for prices, field in zip(cents, found.cells, strict=True):
        taken = field.reshape(len(numbers), -1)[there, skipped:stop]
        prices[rows[there]] = np.maximum(taken, NONE)


def _take_over(old: _Old, cards: Ints, first: date, cents: npt.NDArray[np.int32]) -> None:
    """Copies the days that both have; cards only ever come to a source."""
    rows = np.searchsorted(cards, old.cards)
    shift = (old.first - first).days
    begin, end = max(shift, 0), min(shift + old.cents[0].shape[1], cents.shape[2])
    if begin >= end:
        return
    for place, matrix in enumerate(old.cents):
        cents[place, rows, begin:end] = matrix[:, begin - shift : end - shift]


def _panels(first: date, cents: npt.NDArray[np.int32]) -> tuple[Panel, Panel]:
    return Panel.load(first, cents[0]), Panel.load(first, cents[1])
