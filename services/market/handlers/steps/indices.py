"""Follows the indices: the current period anew with each day, from the level at its beginning.

So a level rests on nothing but prices since the period's first day and one stored level, and a
correction within the period shows at once. What a version of an older day changes, a correction or
a day that was made up for, is followed through to the newest day, year by year where it lies so far
back that not all of it is at hand.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from libs.db import Tx
from services.market.analytics import index_catalogue
from services.market.analytics.index_catalogue import Attributes, Definition, Mask, Rhythm
from services.market.analytics.indices import BASE, Weighting
from services.market.analytics.panel import NONE, Panel
from services.market.domain.pipeline import DayVersion
from services.market.store import indices as store
from services.market.store import pipeline, shelf, snapshots
from services.market.store.indices import Basket, Level
from services.market.store.panels import DAYS, Panels, Prices

# Followed from another day a level differs in its last bits.
_SAME = 1e-9

Known = Mapping[str, Mapping[date, float]]


@dataclass(slots=True)
class _Made:
    """The indices there are, the levels that are new or came out otherwise, and the baskets."""

    definitions: list[Definition] = field(default_factory=list)
    levels: list[tuple[str, Level]] = field(default_factory=list)
    baskets: list[tuple[str, Basket]] = field(default_factory=list)


class Indices:
    """See analytics.indices for the method, analytics.index_catalogue for the indices."""

    name = "indices"
    code_version = "indices-3"

    def __init__(self) -> None:
        # Sixty thousand rows that change with catalogues and new cards alone.
        self._rows: dict[tuple[int, int, int], store.Rows] = {}

    async def __call__(self, tx: Tx, day: DayVersion, panels: Panels) -> Mapping[str, int]:
        """Counts the indices and the levels that were new or came out otherwise."""
        source = day.source_number
        since, runs = await pipeline.unfollowed(tx, source)
        days = await snapshots.days(tx, source)
        if day.day < days[-1]:
            # What came late is followed by the newest day's run, which is made anew for it: only
            # its data version counts everything.
            return await self._follow(tx, day, panels, days[: days.index(day.day) + 1], day.day)
        counts = await self._follow(tx, day, panels, days, min(since or day.day, day.day))
        await pipeline.note_followed(tx, runs)
        return counts

    async def _follow(
        self,
        tx: Tx,
        day: DayVersion,
        panels: Panels,
        days: Sequence[date],
        since: date,
    ) -> Mapping[str, int]:
        """Follows all that rests on prices from `since` on, up to the last of `days`."""
        source = day.source_number
        rows = await self._attributes(tx, source)
        levels = 0
        for start, stop in _years(days, since):
            prices = await panels.between(source, start, stop)
            made = await self._made(tx, day, prices, rows, start)
            levels += len(made.levels)
            since = stop + timedelta(days=1)
            del prices  # the next ones need the room
        made = await self._made(tx, day, await panels.upto(source, days[-1]), rows, since)
        return {"indices": len(made.definitions), "levels": levels + len(made.levels)}

    async def _made(
        self, tx: Tx, day: DayVersion, prices: Prices, rows: store.Rows, since: date
    ) -> _Made:
        source = day.source_number
        known = await store.at(tx, source, prices.market.first, prices.market.last)
        made = await asyncio.to_thread(_followed, prices, rows, known, since)
        told = [(one.id, one.title, one.methodology) for one in made.definitions]
        await store.note(tx, source, told)
        await store.insert(tx, source, day.data_version, made.levels)
        await store.insert_baskets(tx, source, day.data_version, made.baskets)
        return made

    async def _attributes(self, tx: Tx, source: int) -> store.Rows:
        cards, catalogues, _ = await shelf.state(tx)
        key = (source, cards, catalogues)
        if key not in self._rows:
            self._rows = {key: await store.attributes(tx, source)}
        return self._rows[key]


def attributes_of(prices: Prices, rows: store.Rows) -> Attributes:
    """In the order of the panels' rows."""
    by_card = {row[0]: row for row in rows}
    ordered = [by_card.get(card, (card, False, "", "", 0)) for card in prices.cards.tolist()]
    return Attributes(
        np.array([row[1] for row in ordered], np.bool_),
        [row[2] for row in ordered],
        {row[2]: row[3] for row in ordered if row[3]},
        np.array([row[4] for row in ordered], np.int64),
    )


def _followed(prices: Prices, rows: store.Rows, known: Known, since: date) -> _Made:
    attributes = attributes_of(prices, rows)
    quoted = (prices.market.cents != NONE).any(axis=0)
    days = [day for day, there in zip(prices.market, quoted, strict=True) if there]
    made = _Made()
    for definition, mask in index_catalogue.definitions(attributes):
        made.definitions.append(definition)
        had = known.get(definition.id, {})
        start, base = _start(definition.rhythm, days, since, had)
        # Of the largest one copy is made, and gone before the next.
        levels = index_catalogue.levels(definition, _cut(prices.market, mask, start), base)
        made.levels += [
            (definition.id, one)
            for one in _rows(levels)
            if not math.isclose(had.get(one.day, math.nan), one.level, rel_tol=_SAME)
        ]
        equal = definition.weighting is Weighting.EQUAL
        cards = prices.cards[mask]
        made.baskets += [
            (definition.id, Basket(day, equal, cards[places]))
            for day, places in levels.baskets.items()
        ]
    return made


def _years(days: Sequence[date], since: date) -> list[tuple[date, date]]:
    """The times to follow one after the other before those that are at hand with the newest day,
    where what rests on `since` begins before those; each begins on a year's first day, with which
    the periods of all indices begin, and ends with the next's."""
    at_hand = days[-1] - timedelta(days=DAYS - 1)
    before = [day for day in days if day < since]
    first = next(day for day in days if not before or day.year == before[-1].year)
    starts = [first] + [
        now for then, now in pairwise(days) if now.year > max(then.year, first.year)
    ]
    return [(start, stop) for start, stop in pairwise([*starts, days[-1]]) if start < at_hand]


def _start(
    rhythm: Rhythm, days: Sequence[date], since: date, had: Mapping[date, float]
) -> tuple[date, float]:
    """Where to follow from, and the level there: the newest first day of a period before `since`
    that has one; a period's first day still belongs to the basket before. Without such a day it is
    the first one.
    """
    begun = [
        then for before, then in pairwise(days) if then < since and rhythm.begins(then, before)
    ]
    start = next((day for day in reversed(begun) if day in had), days[0])
    return start, had.get(start, BASE)


def _cut(panel: Panel, rows: Mask, start: date) -> Panel:
    return Panel.load(start, panel.cents[:, panel.index(start) :][rows])


def _rows(levels: index_catalogue.Levels) -> list[Level]:
    return [
        Level(day, float(level), float(divisor), int(members))
        for day, level, divisor, members in zip(
            levels.days, levels.levels, levels.divisors, levels.members, strict=True
        )
    ]
