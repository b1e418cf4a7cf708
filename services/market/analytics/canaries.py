"""What must come out as nothing in every run: a shuffled factor, and days that come later."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from services.market.analytics.factors import (
    LEAST_CARDS,
    Evaluation,
    evaluate,
    forward_returns,
    net_spread,
    newey_west,
    turnover,
)
from services.market.analytics.panel import Panel
from services.market.analytics.ranks import average_ranks

Floats = npt.NDArray[np.float64]

SHUFFLES = 20
# Two standard errors would fail one good run in twenty.
_ERRORS = 4


@dataclass(frozen=True, slots=True)
class Shuffled:
    """The mean rank IC of a factor that was dealt out to other cards, over several shuffles."""

    mean: float
    error: float
    shuffles: int

    @property
    def passed(self) -> bool:
        """Whether it is nothing, within 4 standard errors; not where it could not be measured."""
        return abs(self.mean) <= _ERRORS * self.error


def shuffled(
    factor: Floats, forward: Floats, seed: int, shuffles: int = SHUFFLES, least: int = LEAST_CARDS
) -> Shuffled:
    """Deals each day's factor values out anew among the cards that have both, and measures IC."""
    random = np.random.default_rng(seed)
    sums, days = np.zeros(shuffles), 0
    for values, moves in zip(factor, forward, strict=True):
        both = ~(np.isnan(values) | np.isnan(moves))
        if np.count_nonzero(both) < max(least, 2):
            continue
        one, two = _standardised(values[both]), _standardised(moves[both])
        if one is None or two is None:
            continue
        days += 1
        sums += [float(random.permutation(one) @ two) for _ in range(shuffles)]
    if not days:
        return Shuffled(math.nan, math.nan, shuffles)
    means = sums / days
    return Shuffled(float(means.mean()), float(means.std(ddof=1)) / math.sqrt(shuffles), shuffles)


def _standardised(values: Floats) -> Floats | None:
    ranks = average_ranks(values)
    ranks -= ranks.mean()
    size = math.sqrt(float(ranks @ ranks))
    return ranks / size if size else None


def past_days(days: Sequence[date], seed: int, count: int = 3) -> list[date]:
    """Some days to be recomputed, the same ones for the same seed."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(days), min(count, len(days)), replace=False)
    return sorted(days[place] for place in chosen.tolist())


def look_ahead(
    compute: Callable[..., npt.NDArray[np.generic]],
    panels: Sequence[Panel],
    stored: Mapping[date, npt.NDArray[np.generic]],
) -> list[date]:
    """The days whose stored result differs by a bit from what their truncated panels give.

    Empty is as it must be. `compute` takes the panels; what it gave for each day with the whole
    panels as of it is in `stored`.
    """
    return [
        day
        for day, before in stored.items()
        if compute(*(panel.truncated(day) for panel in panels)).tobytes() != before.tobytes()
    ]


@dataclass(frozen=True, slots=True)
class Line:
    """A factor on one kind of price over one horizon; means over days."""

    kind: str
    horizon: int
    ic: float
    t: float
    naive_t: float
    days: int
    gross: float
    net: float
    turnover: float
    canary: Shuffled


def table(
    factor: Floats,
    kinds: Mapping[str, Panel],
    *,
    horizons: Sequence[int] = (1, 30),
    cost: float,
    seed: int,
    quantiles: int = 5,
    limit: float = 1.0,
) -> list[Line]:
    """The same factor on each kind of price side by side (market, low), each with its canary.

    `factor` is days × cards of all days of the panels. Gross is the mean of the highest quantile's
    return less the lowest one's, net is after `cost` a round trip (see net_spread). Returns in it
    are held to a doubling and a halving (`limit`), or the lowest asks' leaps from a cent decide.
    """
    lines = []
    for kind, panel in kinds.items():
        for horizon in horizons:
            forward = forward_returns(panel, horizon)
            found = evaluate(factor, forward, quantiles, limit=limit)
            canary = shuffled(factor, forward, seed)
            lines.append(_line(kind, horizon, found, factor, cost, canary))
    return lines


def _line(
    kind: str, horizon: int, found: Evaluation, factor: Floats, cost: float, canary: Shuffled
) -> Line:
    quantiles = found.returns.shape[1]
    replaced = turnover(factor, quantiles, horizon)
    net = net_spread(found.spread, replaced, cost)
    ic = newey_west(found.ic, horizon)
    both = ~np.isnan(net)
    return Line(
        kind,
        horizon,
        ic.mean,
        ic.t,
        ic.naive_t,
        ic.count,
        _mean(found.spread[both]),
        _mean(net[both]),
        _mean(replaced[both][:, [0, -1]].mean(axis=1)),
        canary,
    )


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan
