"""Moves that are large for this card at this price: scored, told apart, explained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from enum import Enum

import numpy as np
import numpy.typing as npt

from services.market.analytics import kernels
from services.market.analytics.panel import NONE, Panel
from services.market.analytics.ticks import previous

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AnomalyRule:
    """The rule as data.

    own_days: over which a card's typical move is taken, half trusted at `half_trust` moves.
    band_days: over which its price band's are. edges: the bands' bounds in cents. least_cents: the
    change, at least. quiet_days: after one, none for so long. repriced, moving: moves in
    `window` days from which a card counts as such; below it is thin. least_band: a band with fewer
    moves takes those of all bands.
    """

    own_days: int = 120
    half_trust: int = 10
    band_days: int = 60
    edges: tuple[int, ...] = (25, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)
    tail: float = 0.99
    least_score: float = 1.0
    least_cents: int = 100
    quiet_days: int = 14
    window: int = 90
    repriced: int = 15
    moving: int = 5
    least_band: int = 100


class Kind(Enum):
    """How much trading stands behind an anomaly, by the card's moves."""

    REPRICED = "repriced"
    MOVING = "moving"
    THIN = "thin"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One anomaly with all that made it; prices in cents; move, typical and limit log returns.

    score = |move| / limit, and limit = typical · (the band's 99 % quantile / its median). moves are
    those in `window` days up to the day before.
    """

    card: int
    day: date
    before: int
    price: int
    move: float
    typical: float
    limit: float
    score: float
    moves: int
    window: int
    kind: Kind

    def explanation(self) -> str:
        """As people read it."""
        change = math.expm1(self.move)
        return (
            f"{change:+.1%} from {self.before / 100:.2f} to {self.price / 100:.2f}, where "
            f"±{math.expm1(self.typical):.1%} is typical of this card and one move in a hundred at "
            f"this price is larger than ±{math.expm1(self.limit):.1%}; "
            f"{self.moves} moves in the {self.window} days before"
        )


@dataclass(frozen=True, slots=True)
class Typical:
    """Per card how it moves before the day: moves, typical move, and the limit of what is usual."""

    moves: Counts
    size: Floats
    limit: Floats


def typical(market: Panel, rule: AnomalyRule = AnomalyRule()) -> Typical:
    """What is usual of each card, from the days before the panel's last; NaN where no band moves.

    The card's own median move is drawn to its band's by n / (n + half_trust).
    """
    logs, days = market.for_kernels
    own = kernels.moves(logs, days - 1, rule.own_days)
    count = own[:, kernels.MOVES]
    median, ratio = _bands(logs, days - 1, rule)
    place = np.searchsorted(np.array(rule.edges), previous(market), side="right")
    trust = count / (count + rule.half_trust)
    mine = np.where(count > 0, own[:, kernels.MEDIAN_MOVE], 0.0)
    size = trust * mine + (1 - trust) * median[place]
    seen = kernels.moves(logs, days - 1, rule.window)[:, kernels.MOVES].astype(np.int64)
    return Typical(seen, size, size * ratio[place])


def _bands(logs: Floats, days: int, rule: AnomalyRule) -> tuple[Floats, Floats]:
    """By price band the median move and the ratio of the tail's quantile to it."""
    sources, sizes = kernels.steps(logs, days, rule.band_days)
    place = np.searchsorted(np.log(rule.edges), sources, side="right")
    count = len(rule.edges) + 1
    median, ratio = np.full(count, np.nan), np.full(count, np.nan)
    for band in range(count):
        found = sizes[place == band]
        if len(found) < rule.least_band:
            found = sizes
        if len(found):
            median[band], high = np.quantile(found, (0.5, rule.tail))
            ratio[band] = high / median[band]
    return median, ratio


def find(
    market: Panel, latest: Counts | None = None, rule: AnomalyRule = AnomalyRule()
) -> list[Anomaly]:
    """The anomalies of the panel's last day, largest score first.

    `latest` says per card how many days ago it last had one (−1: never), so that it has one in
    `quiet_days` at most.
    """
    if market.day_count < 2:
        return []
    usual = typical(market, rule)
    price, before = market.cents[:, -1].astype(np.int64), previous(market)
    known = (price != NONE) & (before != NONE) & (np.abs(price - before) >= rule.least_cents)
    if latest is not None:
        known &= (latest < 0) | (latest >= rule.quiet_days)
    rows = np.flatnonzero(known)
    move = np.log(price[rows] / before[rows])
    score = np.abs(move) / usual.limit[rows]
    found = [
        Anomaly(
            row,
            market.last,
            int(before[row]),
            int(price[row]),
            float(move[place]),
            float(usual.size[row]),
            float(usual.limit[row]),
            float(score[place]),
            int(usual.moves[row]),
            rule.window,
            kind_of(int(usual.moves[row]), rule),
        )
        for place, row in enumerate(rows.tolist())
        if score[place] >= rule.least_score
    ]
    return sorted(found, key=lambda anomaly: (-anomaly.score, anomaly.card))


def kind_of(moves: int, rule: AnomalyRule = AnomalyRule()) -> Kind:
    """Which kind so many moves make."""
    if moves >= rule.repriced:
        return Kind.REPRICED
    return Kind.MOVING if moves >= rule.moving else Kind.THIN
