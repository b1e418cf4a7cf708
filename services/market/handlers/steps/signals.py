"""Computes and stores signals and the quality of prices."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from libs.db import Tx
from services.market.analytics import quality, signals
from services.market.analytics.catalogue import NAMES
from services.market.analytics.panel import Panel
from services.market.domain import blocks
from services.market.domain.pipeline import KEPT_DAYS, DayVersion
from services.market.store import signal_blocks, snapshots, ticks
from services.market.store.panels import Panels, Prices
from services.market.store.signal_blocks import Packed

PARTS = tuple(quality.ScoreRule().weights)
# What a block holds of a card: signals first, for they have reasons.
LAYOUT = (*NAMES, "score", *PARTS, "moves", "move_age", "quote_age")
# A card not quoted for longer has nothing to say.
_FORGOTTEN = 365


class Signals:
    """See analytics.signals and analytics.quality."""

    name = "signals"
    code_version = "signals-2"

    async def __call__(self, tx: Tx, day: DayVersion, panels: Panels) -> Mapping[str, int]:
        """Counts the cards."""
        prices = await panels.upto(day.source_number, day.day)
        first = day.day - timedelta(days=KEPT_DAYS)
        suspects = await ticks.open_ones(tx, day.source_number, first, day.day)
        earlier = await _earlier(tx, day, panels, prices)
        count, packed = await asyncio.to_thread(
            _pack, prices, earlier, [tick.card for tick in suspects]
        )
        await signal_blocks.replace(tx, day, packed)
        await signal_blocks.prune(tx, day.source_number, day.day, KEPT_DAYS)
        return {"cards": count}


async def _earlier(tx: Tx, day: DayVersion, panels: Panels, prices: Prices) -> list[Panel]:
    """What seasonality needs of the days before those at hand."""
    source, back = day.source_number, signals.SLACK - 1
    first = (await snapshots.days(tx, source))[0]
    at_hand = prices.market.first + timedelta(days=back)
    wanted = [one for one in signals.season_days(day.day, first) if one < at_hand]
    return await panels.around(source, prices.cards, wanted, back)


def _pack(prices: Prices, earlier: list[Panel], suspects: list[int]) -> tuple[int, list[Packed]]:
    block = computed(prices, earlier, suspects)
    packed = [
        (int(one.cards[0]), int(one.cards[-1]), one.pack())
        for one in blocks.cut(block.cards, block.values, block.reasons)
    ]
    return len(block.cards), packed


def computed(prices: Prices, earlier: list[Panel], suspects: list[int]) -> blocks.Block:
    """Everything LAYOUT names, of the cards that were quoted within a year; `earlier` as
    signals.compute takes it, `suspects` are the numbers of cards under an open suspicion."""
    found = signals.compute(prices.market, prices.low, earlier=earlier)
    suspected = np.isin(prices.cards, suspects)
    scores = quality.scores(prices.market, prices.low, suspected)
    stale = quality.staleness(prices.market)
    ages = (stale.moves, stale.move_age, stale.quote_age)
    rest = [scores.score, *(scores.parts[part] for part in PARTS), *ages]
    kept = (stale.quote_age != quality.UNKNOWN) & (stale.quote_age <= _FORGOTTEN)
    values = np.vstack([found.values, *rest]).astype(np.float32)
    return blocks.Block(prices.cards[kept], values[:, kept], found.reasons[:, kept])
