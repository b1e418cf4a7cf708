"""Computes and stores signals and the quality of prices."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from libs.db import Tx
from services.market.analytics import quality, signals
from services.market.analytics.catalogue import NAMES
from services.market.domain import blocks
from services.market.domain.pipeline import KEPT_DAYS, DayVersion
from services.market.store import signal_blocks, ticks
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
    code_version = "signals-1"

    async def __call__(self, tx: Tx, day: DayVersion, panels: Panels) -> Mapping[str, int]:
        """Counts the cards."""
        prices = await panels.upto(day.source_number, day.day)
        first = day.day - timedelta(days=KEPT_DAYS)
        suspects = await ticks.open_ones(tx, day.source_number, first, day.day)
        count, packed = await asyncio.to_thread(_pack, prices, [tick.card for tick in suspects])
        await signal_blocks.replace(tx, day, packed)
        await signal_blocks.prune(tx, day.source_number, day.day, KEPT_DAYS)
        return {"cards": count}


def _pack(prices: Prices, suspects: list[int]) -> tuple[int, list[Packed]]:
    block = computed(prices, suspects)
    packed = [
        (int(one.cards[0]), int(one.cards[-1]), one.pack())
        for one in blocks.cut(block.cards, block.values, block.reasons)
    ]
    return len(block.cards), packed


def computed(prices: Prices, suspects: list[int]) -> blocks.Block:
    """Everything LAYOUT names, of the cards that were quoted within a year; `suspects` are the
    numbers of cards under an open suspicion."""
    found = signals.compute(prices.market, prices.low)
    suspected = np.isin(prices.cards, suspects)
    scores = quality.scores(prices.market, prices.low, suspected)
    stale = quality.staleness(prices.market)
    ages = (stale.moves, stale.move_age, stale.quote_age)
    rest = [scores.score, *(scores.parts[part] for part in PARTS), *ages]
    kept = (stale.quote_age != quality.UNKNOWN) & (stale.quote_age <= _FORGOTTEN)
    values = np.vstack([found.values, *rest]).astype(np.float32)
    return blocks.Block(prices.cards[kept], values[:, kept], found.reasons[:, kept])
