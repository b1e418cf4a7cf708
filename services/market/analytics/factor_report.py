"""What today's numbers said of later returns, over all days of a panel; with its own canaries.

The exposures are the published signals, by the very same functions, of cards at or above a price.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from services.market.analytics import factors, kernels, signals
from services.market.analytics.canaries import Line, look_ahead, past_days, table
from services.market.analytics.factors import Mean
from services.market.analytics.panel import NONE, Panel

Floats = npt.NDArray[np.float64]

# What changes the results changes this.
CODE_VERSION = "factors-1"
LEAST_CENTS = 500
HORIZONS = (1, 30)
DECAY = (1, 7, 14, 30, 60)
# A round trip: fees of selling, and what buying costs above the market price.
COST = 0.15
SEED = 20250601
QUANTILES = 5
# The joint regression's exposures: few, and little alike.
JOINT = ("momentum_30", "volatility_90", "price")

FACTORS: Mapping[str, str] = {
    "momentum_7": "Log return of 7 days",
    "momentum_30": "Log return of 30 days",
    "momentum_90": "Log return of 90 days",
    "reversion_z_30": "Standard deviations above the mean of 30 days",
    "reversion_z_90": "Standard deviations above the mean of 90 days",
    "volatility_90": "Winsorised volatility of 90 days",
    "illiquidity_90": "Share of 90 days without a move",
    "drawdown_90": "Distance below the top of 90 days",
    "ask_premium": "Lowest ask over market",
    "price": "Logarithm of the price",
}


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor's results. `lines` are by kind of price and horizon; `decay` by horizon, on
    market; `quantiles` mean 30-day returns, lowest values first; `autocorrelation` of ranks a day
    and 30 days apart; `known` the mean number of cards a day."""

    name: str
    lines: Sequence[Line]
    decay: Mapping[int, Mean]
    quantiles: Sequence[float]
    autocorrelation: tuple[float, float]
    known: float


@dataclass(frozen=True, slots=True)
class Report:
    """All factors of one panel. `joint` are mean daily returns to each of JOINT by regression on
    all of them; `recomputed` the days that were made again from data cut off after them, and
    `differing` those that then came out otherwise: none, as it must be."""

    first: date
    last: date
    cards: int
    factors: Sequence[Factor]
    joint: Mapping[str, Mean]
    recomputed: Sequence[date]
    differing: Sequence[date]

    @property
    def passed(self) -> bool:
        """Whether nothing looked ahead and every shuffled factor came out as nothing."""
        measured = [one.canary for f in self.factors for one in f.lines if one.canary.error > 0]
        return not self.differing and all(canary.passed for canary in measured)


def exposures(market: Panel, low: Panel, least: int = LEAST_CENTS) -> Floats:
    """FACTORS × cards as of the panels' last day; NaN where unknown, or below `least` cents."""
    newest = kernels.known(*market.for_kernels, 0, signals.FRESH - 1)
    stale = np.isnan(newest)
    moved = signals.movement(market, 90, stale)
    found = {
        "momentum_7": signals.momentum(market, 7, newest),
        "momentum_30": signals.momentum(market, 30, newest),
        "momentum_90": signals.momentum(market, 90, newest),
        "reversion_z_30": signals.reversion(market, 30, stale),
        "reversion_z_90": signals.reversion(market, 90, stale),
        "volatility_90": moved["volatility_90"],
        "illiquidity_90": moved["illiquidity_90"],
        "drawdown_90": signals.drawdown(market, 90, stale),
        "ask_premium": signals.ask_premium(market, low),
    }
    rows = [found[name].values for name in FACTORS if name != "price"]
    today = market.cents[:, -1]
    out = np.stack([*rows, np.log(np.where(today == NONE, np.nan, today))])
    out[:, (today == NONE) | (today < least)] = np.nan
    return out


def by_day(market: Panel, low: Panel) -> Floats:
    """Exposures of all days: FACTORS × days × cards."""
    days = [exposures(market.as_of(day), low.as_of(day)) for day in market]
    return np.ascontiguousarray(np.stack(days).transpose(1, 0, 2))


def report(market: Panel, low: Panel, seed: int = SEED) -> Report:
    """Everything of one panel; minutes of computing for a year of ten thousand cards."""
    # Most cards are never dear enough, on no day of theirs: without them nothing changes.
    rows = np.flatnonzero((market.cents >= LEAST_CENTS).any(axis=1))
    market, low = market.take(rows), low.take(rows)
    values = by_day(market, low)
    kinds = {"market": market, "low": low}
    month = factors.forward_returns(market, 30)
    found = [_factor(name, values[at], kinds, month, seed) for at, name in enumerate(FACTORS)]
    chosen = past_days(list(market), seed)
    stored = {day: np.ascontiguousarray(values[:, market.index(day)]) for day in chosen}
    return Report(
        first=market.first,
        last=market.last,
        cards=int(np.count_nonzero(~np.isnan(values).all(axis=(0, 1)))),
        factors=found,
        joint=_joint(values, market),
        recomputed=chosen,
        differing=look_ahead(exposures, (market, low), stored),
    )


def _factor(
    name: str, values: Floats, kinds: Mapping[str, Panel], month: Floats, seed: int
) -> Factor:
    with np.errstate(invalid="ignore"):
        spread = factors.evaluate(values, month, QUANTILES, limit=1.0).returns
    apart = (factors.rank_autocorrelation(values, lag) for lag in (1, 30))
    return Factor(
        name=name,
        lines=table(values, kinds, horizons=HORIZONS, cost=COST, seed=seed, quantiles=QUANTILES),
        decay=factors.ic_decay(values, kinds["market"], DECAY),
        quantiles=[_mean(column) for column in spread.T],
        autocorrelation=(_mean(next(apart)), _mean(next(apart))),
        known=float(np.count_nonzero(~np.isnan(values), axis=1).mean()),
    )


def _joint(values: Floats, market: Panel) -> dict[str, Mean]:
    chosen = [values[list(FACTORS).index(name)] for name in JOINT]
    moves = factors.forward_returns(market, 1)
    slopes = factors.factor_returns(chosen, np.clip(moves, -0.5, 1.0))
    return {name: factors.newey_west(column) for name, column in zip(JOINT, slopes.T, strict=True)}


def _mean(values: Iterable[float]) -> float:
    known = [float(value) for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
