"""Closes months: what is in rows moves into tiles, a month at a time, the oldest first.

Rows are read and packed while imports go on; the move is one transaction that waits for none of
them. A month that got another version meanwhile, or whose lock is not to be had at once, is left
for the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import asyncpg
import numpy as np

from libs.clock import Clock
from libs.db import Database, Tx
from services.market.domain import months
from services.market.domain.changes import Ints
from services.market.store import quotes, snapshots, sources, tiles, wire
from services.market.store.tiles import Month

log = logging.getLogger(__name__)

# Readers of old months are kept waiting no longer than this.
_PATIENCE = "300ms"


@dataclass(frozen=True, slots=True)
class Rule:
    """The last `open_months` up to that of the newest day stay in rows, and so does whatever a
    month up to theirs got a version of within `quiet`: more may be coming."""

    open_months: int = 2
    quiet: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Packed:
    """A source's tiles of a month: their first cards, how many quotes they hold, their data."""

    firsts: Ints
    count: int
    data: list[list[bytes]]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A month as it was with so many versions of its days, packed by source."""

    month: date
    versions: int
    sources: Mapping[int, _Packed]


class MonthChangedError(Exception):
    """The month got another version while it was being packed."""


class Closing:
    """The use case."""

    def __init__(self, db: Database, clock: Clock, rule: Rule) -> None:
        self._db = db
        self._clock = clock
        self._rule = rule
        self._ready: _Ready | None = None

    async def due(self) -> date | None:
        """The month to close next, None where none is due."""
        month = await quotes.oldest_partition(self._db)
        if month is None:
            return None
        newest = await snapshots.newest_day(self._db)
        if newest is None:
            return None
        kept = months.before(months.month_of(newest), self._rule.open_months - 1)
        if month >= kept:
            return None
        latest = await snapshots.latest_before(self._db, months.following(month))
        quiet = latest is None or latest <= self._clock.now() - self._rule.quiet
        return month if quiet else None

    async def __call__(self) -> date | None:
        """Closes the month that is due, if any, and answers it; None also where it has to wait."""
        month = await self.due()
        if month is None:
            return None
        # What had to wait for a lock is not packed again.
        ready = self._ready = await self._prepared(month)
        try:
            async with self._db.transaction() as tx:
                await self._move(tx, ready)
        except (asyncpg.LockNotAvailableError, MonthChangedError) as error:
            if isinstance(error, MonthChangedError):
                self._ready = None
            told = {"month": f"{month:%Y-%m}", "why": repr(error)}
            log.info("a month waits to be closed", extra=told)
            return None
        self._ready = None
        count = sum(one.count for one in ready.sources.values())
        size = sum(
            len(tile) for one in ready.sources.values() for data in one.data for tile in data
        )
        done = {"month": f"{month:%Y-%m}", "quotes": count, "bytes": size}
        log.info("a month is closed", extra=done)
        return month

    async def _prepared(self, month: date) -> _Ready:
        versions = await snapshots.count(self._db, month, months.following(month))
        ready = self._ready
        if ready is not None and (ready.month, ready.versions) == (month, versions):
            return ready
        known = (await sources.read_all(self._db)).values()
        packed = {one.number: await self._pack(one.number, month) for one in known}
        return _Ready(month, versions, packed)

    async def _pack(self, source: int, month: date) -> _Packed:
        last = months.following(month) - timedelta(days=1)
        cards, days, *fields = await quotes.read_rows(self._db, source, month, last)
        return await asyncio.to_thread(_packed, month, cards, days - wire.day_number(month), fields)

    async def _move(self, tx: Tx, ready: _Ready) -> None:
        """Puts tiles in the place of a month's rows. Raises MonthChangedError."""
        month, following = ready.month, months.following(ready.month)
        await tx.execute(f"set local lock_timeout = '{_PATIENCE}'")
        for source in sorted((await sources.read_all(tx)).values(), key=lambda one: one.number):
            await sources.lock(tx, source)
        await quotes.lock_partitions(tx)
        if await quotes.oldest_partition(tx) != month:
            raise MonthChangedError("it is closed")
        await quotes.lock_month(tx, month)
        if await snapshots.count(tx, month, following) != ready.versions:
            raise MonthChangedError("it got another version")
        if await quotes.count_rows(tx, month) != sum(one.count for one in ready.sources.values()):
            raise MonthChangedError("its rows are not those that were read")
        for number, one in ready.sources.items():
            await tiles.insert(tx, number, month, one.firsts, one.data)
            if await tiles.packed_month(tx, number, month) != one.data:
                raise AssertionError(f"the tiles of {month} are not stored as they were packed")
        await tiles.advance(tx, following)
        await quotes.drop_month(tx, month)


def _packed(month: date, cards: Ints, columns: Ints, fields: list[Ints]) -> _Packed:
    made = Month.empty(np.unique(tiles.block(cards)), months.days_in(month))
    places = made.places(cards)
    for cells, values in zip(made.cells, fields, strict=True):
        cells[*places, columns] = values
    data = tiles.packed(made)
    again = tiles.opened(made.firsts, data, month)
    if not np.array_equal(again.cells, made.cells):
        raise AssertionError(f"the tiles of {month} do not open as they were packed")
    return _Packed(made.firsts, made.count(), data)
