"""What published versions say of cards."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import numpy as np

from libs.db import Database
from libs.errors import AppError, Kind, invalid, not_found
from services.market.analytics.catalogue import NAMES
from services.market.domain import blocks
from services.market.domain.pipeline import KEPT_DAYS, Published, is_kept
from services.market.handlers.steps.signals import LAYOUT
from services.market.store import listing, published, signal_blocks, ticks
from services.market.store.cards import ids
from services.market.store.ticks import Tick

_DAYS_CACHED = 2


@dataclass(frozen=True, slots=True)
class CardNumbers:
    """What LAYOUT names of one card, NaN where unknown, and the signals' reasons; None and None
    where the version says nothing of the card."""

    of: Published
    values: dict[str, float] | None
    reasons: dict[str, int] | None


class Reading:
    """Reads of analytics. Days that were ranked lately stay unpacked in memory."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._days: OrderedDict[tuple[UUID, int], blocks.Block] = OrderedDict()

    async def find(self, source: str, day: date | None) -> Published | None:
        """The version that is asked for, if it is published. Raises AppError (INVALID) where its
        numbers are not kept any more."""
        found = await published.newest(self._db, source or None, day)
        if found is not None and day is not None:
            newest = await published.newest(self._db, found.of.source, None)
            if newest is not None and not is_kept(day, newest.of.day):
                told = (
                    f"one of the last {KEPT_DAYS} days, or the last of a month: others are not kept"
                )
                raise invalid("day", f"expected {told}; got {day}", "not_kept")
        return found

    async def published(self, source: str, day: date | None) -> Published:
        """The version that is asked for. Raises AppError (NOT_FOUND)."""
        found = await self.find(source, day)
        if found is None:
            which = f" of {day}" if day else ""
            raise AppError(
                Kind.NOT_FOUND,
                "not_published",
                f"nothing{which} is published with its signals"
                + (f" by {source[:60]!r}" if source else ""),
            )
        return found

    async def card(self, id: str, source: str, day: date | None) -> CardNumbers:
        """One card's. Raises AppError (NOT_FOUND)."""
        number = await self._number(id)
        of = await self.published(source, day)
        data = await signal_blocks.of_card(self._db, of.of, number)
        if data is None:
            return CardNumbers(of, None, None)
        block = blocks.unpack(data, len(LAYOUT), len(NAMES))
        [places] = np.nonzero(block.cards == number)
        if not len(places):
            return CardNumbers(of, None, None)
        values = dict(zip(LAYOUT, block.values[:, places[0]].tolist(), strict=True))
        reasons = dict(zip(NAMES, block.reasons[:, places[0]].tolist(), strict=True))
        return CardNumbers(of, values, reasons)

    async def over_days(
        self, id: str, source: int, signal: str, before: date | None, limit: int
    ) -> list[tuple[Published, float, int]]:
        """A card's signal on the days that are kept, newest first: the version, the value (NaN
        where unknown) and the reason. Days before the card was known, the oldest ones, are left
        out."""
        number = await self._number(id)
        packed = await signal_blocks.of_card_before(self._db, source, number, before, limit)
        of = await published.of_days(self._db, source, [day for day, _, _ in packed])
        values = await asyncio.to_thread(_one_signal, packed, number, signal)
        return [(of[day], *values[day]) for day, _, _ in packed if day in of and day in values]

    async def ticks(self, id: str, of: Published) -> list[Tick]:
        """A card's suspect ticks of the last ninety days."""
        first = of.of.day - timedelta(days=KEPT_DAYS)
        number = await self._number(id)
        return await ticks.of_card(self._db, of.of.source_number, number, first, of.of.day)

    async def ranked(
        self, of: Published, signal: str, start: int, count: int, *, descending: bool
    ) -> tuple[list[tuple[str, float]], int, dict[int, int]]:
        """Cards by a signal from place `start`, with its values; of how many it is known, and by
        reason of how many not. Equal ones are in the order of their numbers."""
        block = await self._day(of)
        values = block.values[LAYOUT.index(signal)]
        known = np.flatnonzero(~np.isnan(values))
        order = np.argsort(-values[known] if descending else values[known], kind="stable")
        rows = known[order[start : start + count]]
        cards = block.cards[rows].tolist()
        names = await ids(self._db, cards)
        shown = [
            (names[card], value) for card, value in zip(cards, values[rows].tolist(), strict=True)
        ]
        reasons = block.reasons[NAMES.index(signal)][np.isnan(values)]
        counts = enumerate(np.bincount(reasons).tolist())
        return shown, len(known), {reason: count for reason, count in counts if count}

    async def _day(self, of: Published) -> blocks.Block:
        key = (of.run, int(of.publish_time.timestamp() * 1e6))
        if key not in self._days:
            packed = await signal_blocks.of_day(self._db, of.of)
            self._days[key] = await asyncio.to_thread(_joined, packed)
            while len(self._days) > _DAYS_CACHED:
                self._days.popitem(last=False)
        return self._days[key]

    async def _number(self, id: str) -> int:
        number = await listing.number(self._db, id)
        if number is None:
            raise not_found(f"cards/{id}")
        return number


def _one_signal(
    packed: Sequence[tuple[date, int, bytes]], number: int, signal: str
) -> dict[date, tuple[float, int]]:
    found = {}
    for day, _, data in packed:
        block = blocks.unpack(data, len(LAYOUT), len(NAMES))
        [places] = np.nonzero(block.cards == number)
        if len(places):
            value = float(block.values[LAYOUT.index(signal), places[0]])
            found[day] = value, int(block.reasons[NAMES.index(signal), places[0]])
    return found


def _joined(packed: list[bytes]) -> blocks.Block:
    unpacked = [blocks.unpack(data, len(LAYOUT), len(NAMES)) for data in packed]
    if unpacked:
        return blocks.join(unpacked)
    empty = np.zeros((len(LAYOUT), 0), np.float32)
    return blocks.Block(np.zeros(0, np.int32), empty, np.zeros((len(NAMES), 0), np.uint8))
