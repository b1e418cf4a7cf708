"""Follows the indices: the current period anew with each day, from the level at its beginning.

So a level rests on nothing but prices since the period's first day and one stored level, and a
correction within the period shows at once. What a correction before it changes is followed through
to the newest day by the run of the corrected day.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np

from libs.db import Tx
from services.market.analytics import index_catalogue
from services.market.analytics.index_catalogue import Attributes, Definition, Mask, Rhythm
from services.market.analytics.indices import BASE
from services.market.analytics.panel import NONE, Panel
from services.market.domain.imports import Mode
from services.market.domain.pipeline import DayVersion
from services.market.store import indices as store
from services.market.store import shelf, snapshots
from services.market.store.indices import Level
from services.market.store.panels import Panels, Prices

# Followed from another day a level differs in its last bits.
_SAME = 1e-9

Known = Mapping[str, Mapping[date, float]]


@dataclass(frozen=True, slots=True)
class _Group:
    definition: Definition
    rows: Mask


class Indices:
    """See analytics.indices for the method, analytics.index_catalogue for the indices."""

    name = "indices"
    code_version = "indices-1"

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
        groups, found = await asyncio.to_thread(_followed, prices, rows, known, day.day)
        told = [(g.definition.id, g.definition.title, g.definition.methodology) for g in groups]
        await store.note(tx, day.source_number, told)
        await store.insert(tx, day.source_number, day.data_version, found)
        return {"indices": len(groups), "levels": len(found)}

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


def _followed(
    prices: Prices, rows: store.Rows, known: Known, since: date
) -> tuple[list[_Group], list[tuple[str, Level]]]:
    attributes = attributes_of(prices, rows)
    quoted = (prices.market.cents != NONE).any(axis=0)
    days = [day for day, there in zip(prices.market, quoted, strict=True) if there]
    groups, found = [], []
    for definition, mask in index_catalogue.definitions(attributes):
        groups.append(_Group(definition, mask))
        had = known.get(definition.id, {})
        start = _start(definition.rhythm, days, since)
        base = had.get(start)
        if base is None:  # its first run, or nothing was quoted at that price then
            start, base = prices.market.first, BASE
        panel = _cut(prices.market, mask, start)
        levels = index_catalogue.levels(definition, panel, base)
        found += [
            (definition.id, one)
            for one in _rows(levels)
            if not math.isclose(had.get(one.day, math.nan), one.level, rel_tol=_SAME)
        ]
    return groups, found


def _start(rhythm: Rhythm, days: list[date], day: date) -> date:
    """The first quoted day of the period before which `day` lies: a period's first day still
    belongs to the basket before."""
    start = days[0]
    for before, then in pairwise(days):
        if then >= day:
            break
        if rhythm.begins(then, before):
            start = then
    return start


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
