"""Does a number of today tell tomorrow's returns apart? Matrices are days × cards, NaN unknown.

Every rank averages ties: most returns are exactly 0, and ranks by position make skill of noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from services.market.analytics.panel import NONE, Panel
from services.market.analytics.ranks import average_ranks, centred

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# A day with fewer cards has no rank correlation.
LEAST_CARDS = 30


def by_day(signal: Callable[[Panel], Floats], panel: Panel, days: Iterable[date]) -> Floats:
    """A signal (panel → one value per card) of several days, each from the panel as of it."""
    return np.stack([signal(panel.as_of(day)) for day in days])


def forward_returns(panel: Panel, horizon: int) -> Floats:
    """Simple returns p(t + horizon) / p(t) − 1 of all days of the panel: days × cards.

    Unknown where either day has no quote, and for the last `horizon` days. Made of ratios of
    cents, so that equal moves are equal to the last bit.
    """
    out = np.full((panel.day_count, panel.card_count), np.nan)
    cents = np.ascontiguousarray(panel.cents.T)
    start, end = cents[:-horizon], cents[horizon:]
    there = (start != NONE) & (end != NONE)
    np.divide(end, start, out=out[: len(start)], where=there)
    out -= 1
    return out


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A factor against one kind of forward returns.

    ic: rank correlation by day (NaN where unknown). returns: mean forward return by day and
    quantile, lowest factor values first. counts: cards behind each.
    """

    ic: Floats
    returns: Floats
    counts: Counts

    @property
    def spread(self) -> Floats:
        """By day the highest quantile's mean return less the lowest one's."""
        return self.returns[:, -1] - self.returns[:, 0]


def evaluate(
    factor: Floats,
    forward: Floats,
    quantiles: int = 5,
    least: int = LEAST_CARDS,
    limit: float = math.inf,
) -> Evaluation:
    """Rank IC (Spearman) and mean returns by quantile, day by day, over cards that have both.

    Equal factor values fall into the same quantile, whose sizes therefore differ. In the means a
    return counts as at most ×(1 + limit) and at least its inverse; ranks take it as it is.
    """
    ic = np.full(len(factor), np.nan)
    returns = np.full((len(factor), quantiles), np.nan)
    counts = np.zeros((len(factor), quantiles), np.int64)
    for day, (values, moves) in enumerate(zip(factor, forward, strict=True)):
        both = ~(np.isnan(values) | np.isnan(moves))
        moves = moves[both]
        if len(moves) < max(least, 2):
            continue
        ranks = average_ranks(values[both])
        ic[day] = _correlation(ranks, average_ranks(moves))
        bucket = _buckets(ranks, quantiles)
        counts[day] = np.bincount(bucket, minlength=quantiles)
        held = moves.clip(1 / (1 + limit) - 1, limit)
        total = np.bincount(bucket, held, minlength=quantiles)
        np.divide(total, counts[day], out=returns[day], where=counts[day] > 0)
    return Evaluation(ic, returns, counts)


def _buckets(ranks: Floats, quantiles: int) -> Counts:
    places: Counts = ((ranks - 0.5) * quantiles / len(ranks)).astype(np.int64)
    return places


def _correlation(one: Floats, two: Floats) -> float:
    """Pearson's; NaN where either is constant."""
    one, two = one - one.mean(), two - two.mean()
    size = math.sqrt(float(one @ one) * float(two @ two))
    return float(one @ two) / size if size else math.nan


def rank_ic(factor: Floats, forward: Floats, least: int = LEAST_CARDS) -> Floats:
    """Spearman's correlation by day alone; see evaluate()."""
    return evaluate(factor, forward, 1, least).ic


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over days with its standard error for overlapping returns, and the naive t beside."""

    mean: float
    error: float
    t: float
    naive_t: float
    count: int
    lags: int


def newey_west(series: Floats, horizon: int = 1) -> Mean:
    """The mean of the known values and its t by Newey and West (1987), Bartlett weights.

    Lags are horizon − 1, for so long returns overlap, but at least ⌊4 (n/100)^(2/9)⌋ (Newey and
    West 1994). The t is NaN under lags + 2 values, or where they do not vary.
    """
    known = series[~np.isnan(series)]
    count = len(known)
    lags = max(horizon - 1, math.floor(4 * (count / 100) ** (2 / 9)))
    if count == 0:
        return Mean(math.nan, math.nan, math.nan, math.nan, 0, lags)
    mean = float(known.mean())
    rest = known - mean
    if count < lags + 2 or not rest.any():
        return Mean(mean, math.nan, math.nan, math.nan, count, lags)
    variance = float(rest @ rest)
    naive = math.sqrt(variance / (count - 1) / count)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(rest[lag:] @ rest[:-lag])
    error = math.sqrt(max(variance, 0.0)) / count
    return Mean(mean, error, mean / error if error else math.nan, mean / naive, count, lags)


def ic_decay(
    factor: Floats, panel: Panel, horizons: Sequence[int] = (1, 7, 14, 30, 60)
) -> dict[int, Mean]:
    """The mean rank IC over forward returns of growing horizons; `factor` is of all its days."""
    return {
        horizon: newey_west(rank_ic(factor, forward_returns(panel, horizon)), horizon)
        for horizon in horizons
    }


def turnover(factor: Floats, quantiles: int = 5, lag: int = 1) -> Floats:
    """By day and quantile the share of its cards that were not in it `lag` days before.

    NaN for the first days, and where a quantile is empty on either day.
    """
    member = np.stack([_members(row, quantiles) for row in factor])
    out = np.full((len(factor), quantiles), np.nan)
    for quantile in range(quantiles):
        now, then = member[lag:] == quantile, member[:-lag] == quantile
        size, before = now.sum(axis=1), then.sum(axis=1)
        fresh = (now & ~then).sum(axis=1)
        known = (size > 0) & (before > 0)
        np.divide(fresh, size, out=out[lag:, quantile], where=known)
    return out


def _members(values: Floats, quantiles: int) -> Counts:
    """Each card's quantile, −1 where the factor is unknown."""
    out = np.full(len(values), -1, np.int64)
    known = ~np.isnan(values)
    out[known] = _buckets(average_ranks(values[known]), quantiles)
    return out


def rank_autocorrelation(factor: Floats, lag: int = 1) -> Floats:
    """By day the rank correlation of the factor with itself `lag` days before."""
    out = np.full(len(factor), np.nan)
    out[lag:] = rank_ic(factor[lag:], factor[:-lag])
    return out


def net_spread(spread: Floats, turnover: Floats, cost: float) -> Floats:
    """The spread less what trading it costs: a round trip for each card replaced, on both sides.

    `turnover` is days × quantiles at a lag of the spread's horizon; `cost` is the round trip's, a
    fraction of the price.
    """
    return spread - cost * (turnover[:, 0] + turnover[:, -1])


def factor_returns(
    exposures: Sequence[Floats], forward: Floats, least: int = LEAST_CARDS
) -> Floats:
    """By day the slopes of a cross-sectional least squares (Fama and MacBeth 1973): days × k.

    Each exposure enters as its standardised rank (mean 0, standard deviation 1), beside a constant.
    NaN on days with too few cards, or with exposures that explain each other.
    """
    out = np.full((len(forward), len(exposures)), np.nan)
    for day, moves in enumerate(forward):
        known = ~np.isnan(np.vstack([moves, *(matrix[day] for matrix in exposures)])).any(axis=0)
        if np.count_nonzero(known) < max(least, len(exposures) + 2):
            continue
        ranks = [centred(matrix[day, known]) for matrix in exposures]
        scale = [row.std() or 1.0 for row in ranks]
        design = np.column_stack([np.ones(len(ranks[0])), *map(np.divide, ranks, scale)])
        found, _, rank, _ = np.linalg.lstsq(design, moves[known])
        if rank == design.shape[1]:
            out[day] = found[1:]
    return out


def smooth(factor: Floats, halflife: float) -> Floats:
    """Exponentially weighted over a card's known values up to the day; unknown days stay unknown.

    A value of d days ago weighs 2^(−d / halflife).
    """
    keep = 0.5 ** (1 / halflife)
    total, weight = np.zeros(factor.shape[1]), np.zeros(factor.shape[1])
    out = np.full(factor.shape, np.nan)
    for day, values in enumerate(factor):
        known = ~np.isnan(values)
        total, weight = total * keep + np.where(known, values, 0), weight * keep + known
        np.divide(total, weight, out=out[day], where=known)
    return out


def weights(values: Floats) -> Floats:
    """A long–short portfolio of one day: proportional to centred ranks, Σ = 0, Σ |w| = 1."""
    ranks = np.nan_to_num(centred(values))
    size = float(np.abs(ranks).sum())
    return ranks / size if size else np.zeros(len(ranks))
