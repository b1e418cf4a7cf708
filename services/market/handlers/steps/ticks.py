"""Suspects falls that nobody asks so little for, and settles earlier suspicions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from libs.db import Tx
from services.market.analytics import ticks
from services.market.domain.pipeline import KEPT_DAYS, DayVersion
from services.market.store import ticks as store
from services.market.store.panels import Panels, Prices
from services.market.store.ticks import Tick

_VERDICTS = {
    ticks.Verdict.OPEN: store.OPEN,
    ticks.Verdict.CLEARED: store.CLEARED,
    ticks.Verdict.CONFIRMED: store.CONFIRMED,
}


class Ticks:
    """See analytics.ticks for the rule."""

    name = "ticks"
    code_version = "ticks-1"

    async def __call__(self, tx: Tx, day: DayVersion, panels: Panels) -> Mapping[str, int]:
        """Counts those found and those settled."""
        prices = await panels.upto(day.source_number, day.day)
        first = max(day.day - timedelta(days=KEPT_DAYS), prices.market.first)
        last = day.day - timedelta(days=1)
        open_ones = await store.open_ones(tx, day.source_number, first, last)
        found = await asyncio.to_thread(_find, prices)
        settled = _settled(prices, open_ones)
        await store.replace(tx, day, found)
        if settled:
            await store.settle(tx, day.source_number, settled)
        return {"suspected": len(found), "settled": len(settled)}


def _find(prices: Prices) -> list[Tick]:
    return [
        Tick(int(prices.cards[one.card]), one.day, one.before, one.price, one.low)
        for one in ticks.find(prices.market, prices.low)
    ]


def _settled(prices: Prices, open_ones: list[Tick]) -> list[Tick]:
    settled = []
    for tick in open_ones:
        row = prices.row_of(tick.card)
        if row is None:
            continue
        suspect = ticks.Suspect(row, tick.day, tick.before, tick.price, tick.low)
        verdict, when = ticks.settle(prices.market, suspect)
        if when is not None:
            settled.append(replace(tick, verdict=_VERDICTS[verdict], verdict_day=when))
    return settled
