"""Risk of cards and baskets. Quotes are stale, so nothing here is made of daily returns alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.market.analytics.panel import NONE, Panel

Floats = npt.NDArray[np.float64]

# The horizon of betas and correlations: daily ones are artefacts of stale quotes.
HORIZON = 28
# The horizon of value at risk; daily VaR is exactly 0 for most cards.
VAR_HORIZON = 30
LEAST = 30


def filled(panel: Panel, stale: int = 30) -> Floats:
    """Prices in cents, cards × days, a gap filled with the last known one for `stale` days; NaN."""
    out = np.where(panel.cents == NONE, np.nan, panel.cents.astype(np.float64))
    last, age = np.full(len(out), np.nan), np.zeros(len(out), np.int64)
    for day in range(out.shape[1]):
        quoted = ~np.isnan(out[:, day])
        last, age = np.where(quoted, out[:, day], last), np.where(quoted, 0, age + 1)
        out[:, day] = np.where(age <= stale, last, np.nan)
    return out


def log_returns(levels: Floats, horizon: int = 1, step: int = 1) -> Floats:
    """ln(x(t) / x(t − horizon)) along the last axis, at each `step` days, the last day included."""
    logs = np.log(levels)
    found: Floats = logs[..., horizon:] - logs[..., :-horizon]
    return found[..., ::-1][..., ::step][..., ::-1]


def volatility(levels: Floats, horizon: int = HORIZON) -> float:
    """Yearly volatility of levels (1-d, a value a day): the standard deviation of overlapping
    log returns over `horizon` days, times √(365 / horizon). NaN under 30 returns.
    """
    found = log_returns(levels, horizon)
    found = found[~np.isnan(found)]
    if len(found) < LEAST:
        return math.nan
    return float(found.std(ddof=1)) * math.sqrt(365 / horizon)


@dataclass(frozen=True, slots=True)
class Beta:
    """A beta with its observations; overlapping ones count as what they are, `count` returns."""

    value: float
    count: int


def beta(levels: Floats, index: Floats, horizon: int = HORIZON) -> Beta:
    """The slope of overlapping `horizon`-day log returns on the index's; NaN under 30 of them."""
    mine, market = log_returns(levels, horizon), log_returns(index, horizon)
    both = ~(np.isnan(mine) | np.isnan(market))
    count = int(np.count_nonzero(both))
    if count < LEAST:
        return Beta(math.nan, count)
    mine, market = mine[both] - mine[both].mean(), market[both] - market[both].mean()
    size = float(market @ market)
    return Beta(float(mine @ market) / size if size else math.nan, count)


def dimson_beta(levels: Floats, index: Floats, lags: int = 7) -> Beta:
    """Daily returns on the index's of the same day and `lags` days before; the slopes' sum.

    Dimson (1979): a stale quote answers to the market some days late. NaN under 30 returns more
    than slopes, or where the index's returns explain each other.
    """
    mine, market = log_returns(levels), log_returns(index)
    shifted = [market[lags - lag : len(market) - lag] for lag in range(lags + 1)]
    design = np.column_stack([np.ones(max(len(mine) - lags, 0)), *shifted])
    mine = mine[lags:]
    known = ~(np.isnan(mine) | np.isnan(design).any(axis=1))
    count = int(np.count_nonzero(known))
    if count < LEAST + lags + 1:
        return Beta(math.nan, count)
    found, _, rank, _ = np.linalg.lstsq(design[known], mine[known])
    return Beta(float(found[1:].sum()) if rank == design.shape[1] else math.nan, count)


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A covariance n × n drawn to a scaled identity, its correlations, and how far."""

    covariance: Floats
    correlation: Floats
    shrinkage: float


def shrunk(returns: Floats) -> Shrunk:
    """Ledoit and Wolf (2004), "A well-conditioned estimator": returns are observations × assets.

    No value may be unknown: take assets and days that are. The target is the mean variance times
    the identity. Raises ValueError for unknown values or under two observations.
    """
    if len(returns) < 2 or np.isnan(returns).any():
        raise ValueError("two observations are needed, and none may be unknown")
    count, assets = returns.shape
    rest = returns - returns.mean(axis=0)
    sample = rest.T @ rest / count
    mean = float(np.trace(sample)) / assets
    distance = float(((sample - mean * np.eye(assets)) ** 2).sum())
    noise = float((((rest**2).T @ rest**2) / count - sample**2).sum()) / count
    share = min(noise / distance, 1.0) if distance else 1.0
    covariance = (1 - share) * sample + share * mean * np.eye(assets)
    return Shrunk(covariance, _correlation(covariance), share)


def _correlation(covariance: Floats) -> Floats:
    """NaN in rows of assets that do not vary."""
    deviation = np.sqrt(np.diag(covariance))
    deviation = np.where(deviation > 0, deviation, np.nan)
    found: Floats = covariance / np.outer(deviation, deviation)
    return found


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall from a top: a fraction ≤ 0, and the days of its top and bottom."""

    depth: float
    top: int
    bottom: int


def drawdown(levels: Floats) -> Drawdown:
    """The largest drawdown of levels (1-d; unknown ones are passed over); NaN without any."""
    known = np.flatnonzero(~np.isnan(levels))
    if not len(known):
        return Drawdown(math.nan, -1, -1)
    tops = np.maximum.accumulate(levels[known])
    falls = levels[known] / tops - 1
    bottom = int(np.argmin(falls))
    top = int(np.argmax(levels[known][: bottom + 1]))
    return Drawdown(float(falls[bottom]), int(known[top]), int(known[bottom]))


def basket(panel: Panel, copies: Floats, stale: int = 30) -> Floats:
    """The worth in cents of a basket by day: copies of each card; NaN where one is unknown."""
    held = copies != 0
    worth: Floats = copies[held] @ filled(panel, stale)[held]
    return worth


@dataclass(frozen=True, slots=True)
class ValueAtRisk:
    """Losses as fractions ≥ 0 over the horizon; NaN where unknown.

    var: the loss not exceeded with the confidence. es: the mean loss of the cases at or beyond it.
    count: overlapping returns behind it. independent: how many horizons fit into them.
    """

    var: float
    es: float
    horizon: int
    confidence: float
    count: int
    independent: int


def value_at_risk(
    levels: Floats, confidence: float = 0.95, horizon: int = VAR_HORIZON, least: int = 180
) -> ValueAtRisk:
    """Historical VaR and expected shortfall of simple returns over overlapping horizons.

    The quantile is the ⌈(1 − confidence) · n⌉-th worst return itself, without interpolation.
    Unknown under `least` returns, and where there was no loss to measure, as of what hardly ever
    moves: a VaR of exactly 0 would say that nothing can happen.
    """
    found = levels[horizon:] / levels[:-horizon] - 1
    found = np.sort(found[~np.isnan(found)])
    count = len(found)
    tail = max(math.ceil((1 - confidence) * count - 1e-9), 1)
    if count < least or found[tail - 1] >= 0:
        return ValueAtRisk(math.nan, math.nan, horizon, confidence, count, count // horizon)
    var, shortfall = -float(found[tail - 1]), -float(found[:tail].mean())
    return ValueAtRisk(var, shortfall, horizon, confidence, count, count // horizon)
