"""Gainers, losers and the most re-quoted, by a published rule of evidence; the rest are thin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.market.analytics import kernels
from services.market.analytics.panel import NONE, Panel
from services.market.analytics.quality import ask_ratio
from services.market.analytics.signals import SLACK

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

WINDOWS = (1, 7, 30, 90)


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """What a mover needs: moves in 30 and in 7 days, and the lowest ask near the market price."""

    version: str = "2026-1"
    month_moves: int = 5
    week_moves: int = 2
    least_ratio: float = 0.3
    most_ratio: float = 1.2


@dataclass(frozen=True, slots=True)
class Movers:
    """Per card its change over a window, and whether there is evidence for it.

    before, change: cents, 0 where `known` is False. relative: a fraction, NaN there. moves: quote
    changes in the window ("most active" can mean nothing else: no sale is in the data).
    """

    window: int
    known: Mask
    before: Counts
    change: Counts
    relative: Floats
    moves: Counts
    evidence: Mask

    def top(self, by: str, count: int, *, thin: bool = False, floor: int = 0) -> list[int]:
        """The rows of the first `count` by gain, loss, relative_gain, relative_loss or moves.

        Only cards with evidence, or with `thin` only those without, and with a price before of
        `floor` cents at least. Gainers gained and losers lost; equal ones are in row order. Raises
        KeyError for another order.
        """
        key = {
            "gain": -self.change,
            "loss": self.change,
            "relative_gain": -self.relative,
            "relative_loss": self.relative,
            "moves": -self.moves,
        }[by]
        wanted = self.known & (self.evidence ^ thin) & (self.before >= floor)
        rows = np.flatnonzero(wanted & (np.nan_to_num(key.astype(np.float64)) < 0))
        order = np.argsort(key[rows], kind="stable")[:count]
        return [int(row) for row in rows[order]]


def movers(market: Panel, low: Panel, window: int, rule: EvidenceRule = EvidenceRule()) -> Movers:
    """How cards moved over the window's days up to the panel's last, on which they must be quoted.

    The price before is the newest of the day at the window's begin or the days just before it.
    """
    price = market.cents[:, -1].astype(np.int64)
    before = _known(market, window)
    known = (price != NONE) & (before != NONE)
    change = np.where(known, price - before, 0)
    relative = np.full(len(price), np.nan)
    np.divide(change, before, out=relative, where=known)
    return Movers(
        window,
        known,
        np.where(known, before, 0),
        change,
        relative,
        _moves(market, window),
        evidence(market, low, rule),
    )


def evidence(market: Panel, low: Panel, rule: EvidenceRule = EvidenceRule()) -> Mask:
    """Which cards move often enough, near enough to their lowest ask, to be called movers."""
    ratio = ask_ratio(market, low)
    near = (ratio >= rule.least_ratio) & (ratio <= rule.most_ratio)
    often = _moves(market, 30) >= rule.month_moves
    lately = _moves(market, 7) >= rule.week_moves
    return near & often & lately


def _moves(market: Panel, window: int) -> Counts:
    return kernels.moves(*market.for_kernels, window)[:, kernels.MOVES].astype(np.int64)


def _known(market: Panel, ago: int) -> Counts:
    """The newest cents of the days ago … ago + SLACK − 1 before the last; NONE without one."""
    stop = market.day_count - ago
    span = market.cents[:, max(stop - SLACK, 0) : max(stop, 0)]
    if not span.shape[1]:
        return np.full(len(span), NONE, np.int64)
    back = np.argmax(span[:, ::-1] != NONE, axis=1)
    found: Counts = span[np.arange(len(span)), span.shape[1] - 1 - back].astype(np.int64)
    return found
