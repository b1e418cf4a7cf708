"""Signals per card of one day, read from the prices as of that day. docs/methodology.md has why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from services.market.analytics import kernels
from services.market.analytics.catalogue import NAMES, WEIGHTS, Reason, Weights
from services.market.analytics.panel import Panel
from services.market.analytics.ranks import centred

Floats = npt.NDArray[np.float64]
Reasons = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# A card whose newest quote is older than this many days, today included, has no signals.
FRESH = 7
# How much older than the window's begin the quote there may be.
SLACK = 7
LEAST_MOVES = 10
_INTERVAL = 1.96
_SEASON = 30


@dataclass(frozen=True, slots=True)
class Values:
    """One signal of n cards: values (float64, NaN where unknown), reasons (uint8, Reason)."""

    values: Floats
    reasons: Reasons

    @classmethod
    def of(cls, values: Floats, *checks: tuple[Reason, Mask]) -> Values:
        """Where a check's mask holds the value is unknown for its reason; the first one counts."""
        reasons = np.zeros(len(values), np.uint8)
        for reason, mask in reversed(checks):
            reasons[mask] = reason
        kept = np.where(reasons == Reason.KNOWN, values, np.nan)
        return cls(kept, reasons)


@dataclass(frozen=True, slots=True)
class Signals:
    """All signals of one day: matrices signals × cards in the order of catalogue.NAMES."""

    day: date
    weights: str
    values: Floats
    reasons: Reasons

    def __getitem__(self, name: str) -> Values:
        """One signal. Raises KeyError."""
        if name not in NAMES:
            raise KeyError(name)
        place = NAMES.index(name)
        return Values(self.values[place], self.reasons[place])


def compute(
    market: Panel,
    low: Panel | None = None,
    weights: Weights = WEIGHTS,
    earlier: Sequence[Panel] = (),
) -> Signals:
    """All signals of the panel's last day.

    `low` holds the same cards and days; `earlier` are panels of the same cards before, of which
    seasonality needs those around `season_days`. Raises ValueError where low does not, or without
    a day.
    """
    if low is not None and (low.card_count, low.first, low.last) != (
        market.card_count,
        market.first,
        market.last,
    ):
        raise ValueError("market and low must hold the same cards and days")
    found: dict[str, Values] = {}
    newest = kernels.known(*market.for_kernels, 0, FRESH - 1)
    stale = np.isnan(newest)
    for window in (7, 30, 90):
        found[f"slope_{window}"] = slope(market, window, stale)
        found[f"momentum_{window}"] = momentum(market, window, newest)
    for window in (30, 90):
        found |= movement(market, window, stale)
        found[f"reversion_z_{window}"] = reversion(market, window, stale)
    for window in (90, 365):
        found[f"drawdown_{window}"] = drawdown(market, window, stale)
    found["ask_premium"] = ask_premium(market, low)
    found[f"seasonality_{_SEASON}"] = seasonality(market, newest, earlier)
    found["composite"] = composite(found, weights, stale)
    return Signals(
        market.last,
        weights.version,
        np.stack([found[name].values for name in NAMES]),
        np.stack([found[name].reasons for name in NAMES]),
    )


def least_quotes(window: int) -> int:
    """So many of a window's w + 1 days must be quoted: half, and 3 at least."""
    return max((window + 2) // 2, 3)


def slope(market: Panel, window: int, stale: Mask) -> Values:
    """Theil–Sen: the median of the slopes between all pairs of the window's quotes (Sen 1968)."""
    values = kernels.theil_sen(*market.for_kernels, window, least_quotes(window))
    return Values.of(values, (Reason.NO_QUOTE, stale), (Reason.TOO_FEW_QUOTES, np.isnan(values)))


def momentum(market: Panel, window: int, newest: Floats) -> Values:
    """The log return from the quote at the window's begin to the newest."""
    past = kernels.known(*market.for_kernels, window, SLACK - 1)
    return Values.of(
        newest - past, (Reason.NO_QUOTE, np.isnan(newest)), (Reason.NO_PAST_QUOTE, np.isnan(past))
    )


def movement(market: Panel, window: int, stale: Mask) -> dict[str, Values]:
    """What is counted in moves: trend with its interval, volatility, moves, median move.

    The interval takes returns for uncorrelated around the trend, of whatever variances: Σr² then
    estimates the variance of Σr without bias (realised variance).
    """
    seen = kernels.moves(*market.for_kernels, window)
    quotes, count, total = seen[:, kernels.QUOTES], seen[:, kernels.MOVES], seen[:, kernels.SUM]
    gone = (Reason.NO_QUOTE, stale)
    few = (Reason.TOO_FEW_QUOTES, quotes < least_quotes(window))
    still = (Reason.TOO_FEW_MOVES, count < LEAST_MOVES)
    half = _INTERVAL * np.sqrt(seen[:, kernels.SQUARES])
    found = {
        f"trend_{window}": Values.of(total, gone, few),
        f"trend_low_{window}": Values.of(total - half, gone, few, still),
        f"trend_high_{window}": Values.of(total + half, gone, few, still),
        f"volatility_{window}": Values.of(seen[:, kernels.VOLATILITY], gone, few),
        f"moves_{window}": Values.of(count, gone, few),
        f"median_move_{window}": Values.of(
            seen[:, kernels.MEDIAN_MOVE], gone, few, (Reason.TOO_FEW_MOVES, count == 0)
        ),
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = 1 - count / (quotes - 1)
    return found | {f"illiquidity_{window}": Values.of(rest, gone, few)}


def reversion(market: Panel, window: int, stale: Mask) -> Values:
    """How many standard deviations the newest log lies above the mean of the window's."""
    seen = kernels.levels(*market.for_kernels, window)
    deviation = seen[:, kernels.DEVIATION]
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (seen[:, kernels.LAST] - seen[:, kernels.MEAN]) / deviation
    return Values.of(
        values,
        (Reason.NO_QUOTE, stale),
        (Reason.TOO_FEW_QUOTES, seen[:, kernels.COUNT] < least_quotes(window)),
        (Reason.CONSTANT, deviation == 0),
    )


def drawdown(market: Panel, window: int, stale: Mask) -> Values:
    """How far below the window's top: 0 at the top, −0.25 a quarter below."""
    seen = kernels.levels(*market.for_kernels, window)
    few = seen[:, kernels.COUNT] < least_quotes(window)
    values = np.expm1(seen[:, kernels.LAST] - seen[:, kernels.TOP])
    return Values.of(values, (Reason.NO_QUOTE, stale), (Reason.TOO_FEW_QUOTES, few))


def ask_premium(market: Panel, low: Panel | None) -> Values:
    """The lowest ask over the market price of the same day, less 1; no spread: it may be > 0."""
    price = market.cents[:, -1]
    ask = np.full_like(price, -1) if low is None else low.cents[:, -1]
    values = ask / price - 1
    return Values.of(values, (Reason.NO_QUOTE, price < 0), (Reason.NO_LOW, ask < 0))


def season_days(day: date, first: date) -> list[date]:
    """The days that seasonality looks at: the same date in years before, from `first` on, and 30
    days after; each with the SLACK − 1 days before it."""
    found = []
    for year in range(1, day.year - first.year + 1):
        if (then := _years_before(day, year)) >= first:
            found += [then, then + timedelta(days=_SEASON)]
    return found


def seasonality(market: Panel, newest: Floats, earlier: Sequence[Panel] = ()) -> Values:
    """What the 30 days after this date did in earlier years, beyond the card's own drift."""
    total, years = np.zeros(len(newest)), np.zeros(len(newest), np.int64)
    drift = np.full(len(newest), np.nan)
    panels = (market, *earlier)
    days = season_days(market.last, min(panel.first for panel in panels))
    for begin, end in zip(days[::2], days[1::2], strict=True):
        start = _known_on(panels, begin)
        step = _known_on(panels, end) - start
        there = ~np.isnan(step)
        total[there] += step[there]
        years[there] += 1
        drift[there] = (newest - start)[there] / (market.last - begin).days
    with np.errstate(invalid="ignore", divide="ignore"):
        values = total / years - _SEASON * drift
    gone = (Reason.NO_QUOTE, np.isnan(newest))
    return Values.of(values, gone, (Reason.SHORT_HISTORY, years < 2))


def _known_on(panels: Sequence[Panel], day: date) -> Floats:
    """The log of the newest quote on a day and the SLACK − 1 before, by the panel that has most of
    these days, the first of such."""
    first = day - timedelta(days=SLACK - 1)
    there = [panel for panel in panels if panel.first <= day <= panel.last]
    if not there:
        return np.full(panels[0].card_count, np.nan)
    panel = min(there, key=lambda one: max(one.first, first))
    return kernels.known(*panel.for_kernels, (panel.last - day).days, SLACK - 1)


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year - years, day=28)


def composite(found: dict[str, Values], weights: Weights, stale: Mask) -> Values:
    """Weighted ranks; unknown where the known parts carry under half of the weight."""
    parts = [(centred(found[name].values), weight) for name, weight in weights.parts.items()]
    score, carried = np.zeros(len(parts[0][0])), np.zeros(len(parts[0][0]))
    for ranks, weight in parts:
        there = ~np.isnan(ranks)
        score[there] += weight * ranks[there]
        carried[there] += abs(weight)
    whole = math.fsum(abs(weight) for weight in weights.parts.values())
    with np.errstate(invalid="ignore", divide="ignore"):
        values = score / carried
    return Values.of(values, (Reason.NO_QUOTE, stale), (Reason.TOO_FEW_PARTS, carried < whole / 2))
