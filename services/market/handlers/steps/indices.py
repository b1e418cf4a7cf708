"""Follows the indices: the current period anew with each day, from the level at its beginning.

So a level rests on nothing but prices since the period's first day and one stored level, and a
correction within the period shows at once. What a correction before it changes is followed through
to the newest day by the run of the corrected day.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

import numpy as np

from libs.db import Tx
from services.market.analytics import index_catalogue
from services.market.analytics.index_catalogue import Attributes, Definition, Mask, Rhythm
from services.market.analytics.indices import BASE, Weighting
from services.market.analytics.panel import NONE, Panel
from services.market.domain.imports import Mode
from services.market.domain.pipeline import DayVersion
from services.market.store import indices as store
from services.market.store import shelf, snapshots
from services.market.store.indices import Basket, Level
from services.market.store.panels import Panels, Prices

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
    code_version = "indices-2"

    def __init__(self) -> None:
        # Sixty thousand rows that change with catalogues and new cards alone.
        self._rows: dict[tuple[int, int, int], store.Rows] = {}

    async def __call__(self, tx: Tx, day: DayVersion, panels: Panels) -> Mapping[str, int]:
        """Counts the indices and the levels that were new or came out otherwise."""
        last = day.day
        if day.mode is Mode.CORRECTION:
            last = (await snapshots.standing(tx, day.source_number, day.day)).newest or day.day
        prices = await panels.upto(day.source_number, last)
        rows = await self._attributes(tx, day.source_number)
        known = await store.at(tx, day.source_number, prices.market.first, last)
        whole = await snapshots.first_day(tx, day.source_number) == prices.market.first
        made = await asyncio.to_thread(_followed, prices, rows, known, day.day, whole=whole)
        told = [(one.id, one.title, one.methodology) for one in made.definitions]
        await store.note(tx, day.source_number, told)
        await store.insert(tx, day.source_number, day.data_version, made.levels)
        await self._note_baskets(tx, day, made.baskets)
        return {"indices": len(made.definitions), "levels": len(made.levels)}

    async def _note_baskets(
        self, tx: Tx, day: DayVersion, found: Sequence[tuple[str, Basket]]
    ) -> None:
        first = min(basket.start for _, basket in found)
        known = await store.baskets_from(tx, day.source_number, first)
        new = [(id, one) for id, one in found if list(known.get((id, one.start), ())) != one.cards]
        await store.insert_baskets(tx, day.source_number, day.data_version, new)

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


def _followed(prices: Prices, rows: store.Rows, known: Known, since: date, *, whole: bool) -> _Made:
    attributes = attributes_of(prices, rows)
    quoted = (prices.market.cents != NONE).any(axis=0)
    days = [day for day, there in zip(prices.market, quoted, strict=True) if there]
    made = _Made()
    for definition, mask in index_catalogue.definitions(attributes):
        made.definitions.append(definition)
        had = known.get(definition.id, {})
        start, base = _start(definition.rhythm, days, since, had, whole=whole)
        panel = _cut(prices.market, mask, start)
        levels = index_catalogue.levels(definition, panel, base)
        made.levels += [
            (definition.id, one)
            for one in _rows(levels)
            if not math.isclose(had.get(one.day, math.nan), one.level, rel_tol=_SAME)
        ]
        equal = definition.weighting is Weighting.EQUAL
        cards = prices.cards[mask]
        made.baskets += [
            (definition.id, Basket(day, equal, cards[places].tolist()))
            for day, places in levels.baskets.items()
        ]
    return made


def _start(
    rhythm: Rhythm, days: Sequence[date], day: date, had: Mapping[date, float], *, whole: bool
) -> tuple[date, float]:
    """Where to follow from, and the level there: the newest first day of a period before `day`
    that has one; a period's first day still belongs to the basket before.

    Before the second period of an index that is its first day. Where the days begin later than the
    source's (not `whole`) and no period in them has a level, for there were no runs for long, it is
    the newest day with a level: the basket is made up anew there, and the level goes on.
    """
    begun = [then for before, then in pairwise(days) if then < day and rhythm.begins(then, before)]
    for start in reversed(begun):
        if start in had:
            return start, had[start]
    if whole or days[0] not in had:
        return days[0], had.get(days[0], BASE)
    start = max((known for known in had if known < day), default=days[0])
    return start, had[start]


def _cut(panel: Panel, rows: Mask, start: date) -> Panel:
    cents = panel.cents[rows][:, panel.index(start) :]
    return Panel.load(start, np.ascontiguousarray(cents))


def _rows(levels: index_catalogue.Levels) -> list[Level]:
    return [
        Level(day, float(level), float(divisor), int(members))
        for day, level, divisor, members in zip(
            levels.days, levels.levels, levels.divisors, levels.members, strict=True
        )
    ]
