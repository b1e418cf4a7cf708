"""What the signals mean, written down plainly and slowly, one card at a time; the tests' oracle."""

from __future__ import annotations

import itertools
import math
import statistics
from datetime import date, timedelta

import numpy as np

from services.market.analytics.panel import NONE, Panel

FIRST = date(2024, 1, 1)


def panel(rows, first=FIRST):
    """A panel of rows of cents, None where there is no quote."""
    cents = [[NONE if value is None else value for value in row] for row in rows]
    return Panel.load(first, np.array(cents, np.int32).reshape(len(rows), -1))


def walks(seed, cards, days, gaps=0.1, rest=0.6):
    """Cents of random walks that rest on most days and miss some."""
    random = np.random.default_rng(seed)
    steps = random.normal(0, 0.06, (cards, days)) * (random.random((cards, days)) > rest)
    start = random.uniform(3, 12, (cards, 1))
    cents = np.rint(np.exp(start + np.cumsum(steps, axis=1))).clip(1, 2**31 - 1).astype(np.int32)
    cents[random.random((cards, days)) < gaps] = NONE
    cents[0], cents[1, :-3], cents[2, -20:] = NONE, NONE, NONE
    cents[3] = 250
    return cents


def quotes(row, window, end=None):
    """(day, log) of the quotes among the last window + 1 days of a row of cents."""
    end = len(row) if end is None else end
    days = range(max(end - 1 - window, 0), end)
    return [(day, math.log(row[day])) for day in days if row[day] != NONE]


def returns(row, window):
    found = [value for _, value in quotes(row, window)]
    return [later - earlier for earlier, later in itertools.pairwise(found)]


def newest(row, ago=0, slack=6):
    """The newest log of the days ago … ago + slack before the last; None where there is none."""
    for back in range(ago, ago + slack + 1):
        place = len(row) - 1 - back
        if place >= 0 and row[place] != NONE:
            return math.log(row[place])
    return None


def enough(row, window):
    return newest(row) is not None and len(quotes(row, window)) >= max(
        3, math.ceil((window + 1) / 2)
    )


def slope(row, window):
    if not enough(row, window):
        return None
    pairs = itertools.combinations(quotes(row, window), 2)
    return statistics.median((b - a) / (j - i) for (i, a), (j, b) in pairs)


def momentum(row, window):
    now, then = newest(row), newest(row, window)
    return None if now is None or then is None else now - then


def trend(row, window):
    """(Σr, lower, upper); None where unknown."""
    if not enough(row, window):
        return None, None, None
    found = returns(row, window)
    total = math.fsum(found)
    if sum(r != 0 for r in found) < 10:
        return total, None, None
    half = 1.96 * math.sqrt(math.fsum(r * r for r in found))
    return total, total - half, total + half


def moves(row, window):
    """(volatility, moves, median move, share of quotes without one)."""
    if not enough(row, window):
        return None, None, None, None
    found = returns(row, window)
    sizes = [abs(r) for r in found if r]
    typical = statistics.median(sizes) if sizes else None
    seen = quotes(row, window)
    held = [min(size, 5 * typical) ** 2 for size in sizes]
    volatility = math.sqrt(math.fsum(held) / (seen[-1][0] - seen[0][0]))
    return volatility, len(sizes), typical, 1 - len(sizes) / len(found)


def reversion(row, window):
    values = [value for _, value in quotes(row, window)]
    if not enough(row, window) or len(set(values)) == 1:
        return None
    return (values[-1] - statistics.fmean(values)) / statistics.stdev(values)


def drawdown(row, window):
    values = [value for _, value in quotes(row, window)]
    return math.exp(values[-1] - max(values)) - 1 if enough(row, window) else None


def seasonality(row, first=FIRST):
    last, now = first + timedelta(days=len(row) - 1), newest(row)
    found, drift = [], None
    for year in range(last.year - 1, first.year - 1, -1):
        ago = (last - last.replace(year=year)).days
        start, end = newest(row, ago), newest(row, ago - 30)
        if now is not None and start is not None and end is not None:
            found.append(end - start)
            drift = (now - start) / ago
    return statistics.fmean(found) - 30 * drift if len(found) >= 2 else None


def signals(row):
    """All signals of a card that need no other card."""
    found = {"seasonality_30": seasonality(row)}
    for window in (7, 30, 90):
        found[f"slope_{window}"] = slope(row, window)
        found[f"momentum_{window}"] = momentum(row, window)
    for window in (30, 90):
        names = [f"trend_{window}", f"trend_low_{window}", f"trend_high_{window}"]
        found |= dict(zip(names, trend(row, window), strict=True))
        names = ["volatility", "moves", "median_move", "illiquidity"]
        seen = zip(names, moves(row, window), strict=True)
        found |= {f"{name}_{window}": value for name, value in seen}
        found[f"reversion_z_{window}"] = reversion(row, window)
    found.pop("illiquidity_30")
    for window in (90, 365):
        found[f"drawdown_{window}"] = drawdown(row, window)
    return found
