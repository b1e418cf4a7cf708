"""The kernels themselves; see `kernels`, which is how they are called."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from services.market.analytics.compiling import compiled, inlined

# What is kept compiled does not notice that these change: change this file with them.
from services.market.analytics.kernels import (
    COUNT,
    DEVIATION,
    LAST,
    LAST_AGE,
    MEAN,
    MEDIAN_MOVE,
    MOVES,
    QUOTES,
    SQUARES,
    SUM,
    TOP,
    VOLATILITY,
)

Floats = npt.NDArray[np.float64]
Cents = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]

# |r| above so many median moves counts as that much in the volatility.
WINSOR = 5.0
_TABLE = 1 << 17
_SAMPLE = 32
_SMALL = 48


@compiled
def logs_of(cents: Cents) -> tuple[Floats, bool]:
    """Logarithms by look-up, NaN for -1; False when any other price is below 1."""
    table = np.empty(_TABLE)
    table[0] = np.nan
    for value in range(1, _TABLE):
        table[value] = math.log(value)
    cards, days = cents.shape
    logs = np.empty((cards, days))
    good = True
    for card in range(cards):
        for day in range(days):
            value = cents[card, day]
            if 0 < value < _TABLE:
                logs[card, day] = table[value]
            elif value >= _TABLE:
                logs[card, day] = math.log(value)
            else:
                logs[card, day] = np.nan
                good = good and value == -1
    return logs, good


@inlined
def _sort(values: Floats, count: int) -> None:
    for right in range(1, count):
        value = values[right]
        left = right - 1
        while left >= 0 and values[left] > value:
            values[left + 1] = values[left]
            left -= 1
        values[left + 1] = value


@inlined
def _select(values: Floats, count: int, rank: int, spare: Floats) -> float:
    """The value of 0-based rank; `values` is used up.

    Floyd and Rivest (1975): two elements of a sample enclose the rank, counting tells between
    which it lies, and only those are kept. The enclosing two are dropped, so it always ends.
    """
    while count > _SMALL:
        for place in range(_SAMPLE):
            spare[place] = values[place * count // _SAMPLE]
        _sort(spare, _SAMPLE)
        middle = rank * _SAMPLE // count
        low, high = spare[max(middle - 4, 0)], spare[min(middle + 4, _SAMPLE - 1)]
        below, upto, under, within = 0, 0, 0, 0
        for place in range(count):
            value = values[place]
            below += value < low
            upto += value <= low
            under += value < high
            within += value <= high
        if below <= rank < upto:
            return float(low)
        if under <= rank < within:
            return float(high)
        least, most = low, high
        if rank < below:
            least, most = -np.inf, low
        elif rank >= within:
            least, most, rank = high, np.inf, rank - within
        else:
            rank -= upto
        kept = 0
        for place in range(count):
            value = values[place]
            values[kept] = value
            kept += (value > least) & (value < most)
        count = kept
    _sort(values, count)
    return float(values[rank])


@inlined
def _median(values: Floats, count: int, spare: Floats, copy: Floats) -> float:
    """The median of finite values; they are left as they are."""
    copy[:count] = values[:count]
    lower = _select(copy, count, (count - 1) // 2, spare)
    if count % 2:
        return lower
    upto, above = 0, np.inf
    for place in range(count):
        upto += values[place] <= lower
        if lower < values[place] < above:
            above = values[place]
    return lower if upto > count // 2 else (lower + above) / 2


@inlined
def _median_slope(days: Floats, logs: Floats, count: int, work: Floats) -> float:
    """The median of the slopes between all pairs; `work` is 3 rows of at least as many."""
    slopes, copy, spare = work
    pairs = 0
    for later in range(1, count):
        for earlier in range(later):
            rise = logs[later] - logs[earlier]
            slopes[pairs + earlier] = rise / (days[later] - days[earlier])
        pairs += later
    below, upto = 0, 0
    for pair in range(pairs):
        below += slopes[pair] < 0
        upto += slopes[pair] <= 0
    # Most prices rest: more often than not both middle slopes are 0.
    if below <= (pairs - 1) // 2 and pairs // 2 < upto:
        return 0.0
    return _median(slopes, pairs, spare, copy)


@compiled
def theil_sen(logs: Floats, days: int, window: int, least: int) -> Floats:
    """Per card the median slope (log per day) over the window; NaN under `least` quotes."""
    cards = len(logs)
    out = np.full(cards, np.nan)
    start = max(days - 1 - window, 0)
    xs, ys = np.empty(window + 1), np.empty(window + 1)
    work = np.empty((3, max((window + 1) * window // 2, _SAMPLE)))
    for card in range(cards):
        count, moved = 0, False
        for day in range(start, days):
            value = logs[card, day]
            if not math.isnan(value):
                xs[count], ys[count] = day, value
                moved = moved or value != ys[0]
                count += 1
        if count >= least:
            out[card] = _median_slope(xs, ys, count, work) if moved else 0.0
    return out


@inlined
def _winsorised(returns: Floats, count: int, limit: float) -> float:
    total = 0.0
    for place in range(count):
        size = min(abs(returns[place]), limit)
        total += size * size
    return total


@compiled
def moves(logs: Floats, days: int, window: int) -> Floats:
    """Per card how it moved: cards × 7, in the order of QUOTES … LAST_AGE.

    Moves are returns that are not 0. The volatility is the root of the mean square per elapsed
    day, each |r| held to WINSOR median moves; NaN where nothing or one day was quoted. The median
    move is NaN without moves. LAST_AGE is days since the newest quote in the window.
    """
    cards = len(logs)
    out = np.full((cards, 7), np.nan)
    start = max(days - 1 - window, 0)
    returns, sizes = np.empty(window + 1), np.empty(window + 1)
    copy, spare = np.empty(max(window + 1, _SAMPLE)), np.empty(_SAMPLE)
    for card in range(cards):
        quotes, moved, total, squares, before = 0, 0, 0.0, 0.0, np.nan
        opened, newest = 0, -1
        for day in range(start, days):
            value = logs[card, day]
            if math.isnan(value):
                continue
            if quotes == 0:
                opened = day
            elif value != before:
                step = value - before
                returns[moved], sizes[moved] = step, abs(step)
                total += step
                squares += step * step
                moved += 1
            quotes, before, newest = quotes + 1, value, day
        out[card, QUOTES], out[card, MOVES] = quotes, moved
        out[card, SUM], out[card, SQUARES] = total, squares
        if quotes:
            out[card, LAST_AGE] = days - 1 - newest
        if moved:
            out[card, MEDIAN_MOVE] = _median(sizes, moved, spare, copy)
        if newest > opened:
            limit = WINSOR * out[card, MEDIAN_MOVE] if moved else 0.0
            held = _winsorised(returns, moved, limit)
            out[card, VOLATILITY] = math.sqrt(held / (newest - opened))
    return out


@compiled
def levels(logs: Floats, days: int, window: int) -> Floats:
    """Per card where its logs lay: cards × 5, in the order of COUNT … LAST; NaN without a quote.

    DEVIATION is the sample's (n − 1), exactly 0 where all quotes are equal, NaN for one quote.
    """
    cards = len(logs)
    out = np.full((cards, 5), np.nan)
    start = max(days - 1 - window, 0)
    for card in range(cards):
        count, total, top, bottom, newest = 0, 0.0, -np.inf, np.inf, np.nan
        for day in range(start, days):
            value = logs[card, day]
            if not math.isnan(value):
                count, total, newest = count + 1, total + value, value
                top, bottom = max(top, value), min(bottom, value)
        out[card, COUNT] = count
        if count == 0:
            continue
        mean = total / count
        out[card, MEAN], out[card, TOP], out[card, LAST] = mean, top, newest
        squares = 0.0
        for day in range(start, days):
            value = logs[card, day]
            if not math.isnan(value):
                squares += (value - mean) * (value - mean)
        if count > 1:
            out[card, DEVIATION] = math.sqrt(squares / (count - 1)) if top > bottom else 0.0
    return out


@compiled
def known(logs: Floats, days: int, ago: int, slack: int) -> Floats:
    """Per card the newest log of days t − ago − slack … t − ago; NaN where there is none."""
    cards = len(logs)
    out = np.full(cards, np.nan)
    start, stop = max(days - 1 - ago - slack, 0), days - ago
    for card in range(cards):
        for day in range(stop - 1, start - 1, -1):
            if not math.isnan(logs[card, day]):
                out[card] = logs[card, day]
                break
    return out


@compiled
def ages(logs: Floats, days: int) -> npt.NDArray[np.int64]:
    """Per card days since its last quote and since its last move: cards × 2, −1 where never."""
    out = np.full((len(logs), 2), -1, np.int64)
    for card in range(len(logs)):
        newest = -1
        for day in range(days - 1, -1, -1):
            value = logs[card, day]
            if math.isnan(value):
                continue
            if newest >= 0 and value != logs[card, newest]:
                out[card, 1] = days - 1 - newest
                break
            newest = day
            if out[card, 0] < 0:
                out[card, 0] = days - 1 - day
    return out


@compiled
def steps(logs: Floats, days: int, window: int) -> tuple[Floats, Floats]:
    """All moves of all cards in the window: the logs they started from, and |r|; flat."""
    start = max(days - 1 - window, 0)
    sources = np.empty(len(logs) * (days - start))
    sizes = np.empty(len(sources))
    count = 0
    for card in range(len(logs)):
        before = np.nan
        for day in range(start, days):
            value = logs[card, day]
            if math.isnan(value):
                continue
            if value != before and not math.isnan(before):
                sources[count], sizes[count] = before, abs(value - before)
                count += 1
            before = value
    return sources[:count].copy(), sizes[:count].copy()


@compiled
def tied(values: Floats, order: Places, known: int) -> Floats:
    """Ranks by an order of the `known` first, ties sharing their mean; NaN for the rest."""
    ranks = np.full(len(values), np.nan)
    first = 0
    while first < known:
        after = first + 1
        while after < known and values[order[after]] == values[order[first]]:
            after += 1
        for place in range(first, after):
            ranks[order[place]] = (first + after + 1) / 2
        first = after
    return ranks
