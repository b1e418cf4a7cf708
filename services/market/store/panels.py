"""A source's prices as matrices, kept from day to day: what analytics reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from libs.db import Database
from services.market.analytics.panel import NONE, Panel
from services.market.domain.prices import FIELDS, MARKET
from services.market.store import quotes, wire

Ints = npt.NDArray[np.int32]

# A year, and what its first day looks back on.
DAYS = 400
# From so many changed days on, reading everything anew is quicker than day by day.
_MANY = 20
_LOW = FIELDS.index("low")


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
            first = last - timedelta(days=days - 1)
            versions = await self._versions(source, first, last)
            if not versions or min(versions) > day:
                raise LookupError(f"the source has nothing up to {day}")
            self._kept = await self._synced(source, versions, last)
            prices = self._kept.prices
        return prices if prices.market.last == day else prices.as_of(day)

    def forget(self) -> None:
        """Lets go of what is kept."""
        self._kept = None

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
        self._kept = None  # its memory may be needed
        cards = await self._cards(source)
        shape = (len(cards), (last - first).days + 1)
        cents = np.full((2, *shape), NONE, np.int32)
        if kept is None or len(changed) > _MANY:
            await self._read_all(source, cards, first, last, cents)
        else:
            _take_over(kept.prices, cards, first, cents)
            for day in changed:
                column = (day - first).days
                found, prices = await quotes.read_day(self._db, source, day)
                rows = np.searchsorted(cards, found)
                cents[:, :, column] = NONE
                cents[0, rows, column] = prices[:, MARKET]
                cents[1, rows, column] = prices[:, _LOW]
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
        for start, stop in _months(first, last):
            pieces: list[bytes] = []

            async def keep(data: bytes, pieces: list[bytes] = pieces) -> None:
                pieces.append(data)

            async with self._db.acquire() as connection:
                await connection.copy_from_query(
                    "select card, day - date '2000-01-01', coalesce(market, -1), coalesce(low, -1)"
                    " from quotes where source = $1 and day between $2 and $3",
                    source,
                    start,
                    stop,
                    output=keep,
                    format="binary",
                )
            await asyncio.to_thread(_fill, b"".join(pieces), cards, first, cents)


def _fill(data: bytes, cards: Ints, first: date, cents: npt.NDArray[np.int32]) -> None:
    card, day, market, low = wire.decode(data, 4)
    rows = np.searchsorted(cards, card)
    columns = day - wire.day_number(first)
    cents[0, rows, columns] = market
    cents[1, rows, columns] = low


def _take_over(old: Prices, cards: Ints, first: date, cents: npt.NDArray[np.int32]) -> None:
    """Copies the days that both have; cards only ever come to a source."""
    rows = np.searchsorted(cards, old.cards)
    shift = (old.market.first - first).days
    begin, end = max(shift, 0), min(shift + old.market.day_count, cents.shape[2])
    for place, panel in enumerate((old.market, old.low)):
        cents[place, rows, begin:end] = panel.cents[:, begin - shift : end - shift]


def _panels(first: date, cents: npt.NDArray[np.int32]) -> tuple[Panel, Panel]:
    return Panel.load(first, cents[0]), Panel.load(first, cents[1])


def _months(first: date, last: date) -> Iterable[tuple[date, date]]:
    start = first
    while start <= last:
        following = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield start, min(following - timedelta(days=1), last)
        start = following
