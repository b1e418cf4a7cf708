"""The loops over cards, which are compiled.

Each reads columns 0 … days − 1 of a matrix of logs that may have more. A window of w days is the
w + 1 quotes of days t − w … t, where t = days − 1 is the last that may be read; quotes that are
missing (NaN) are passed over, and a return is between neighbouring quotes that are there. See
docs/methodology.md.

The compiler takes a second and a hundred megabytes to load: it comes with the first call, so that
who only reads results goes without.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Cents = npt.NDArray[np.int32]

# Columns of moves().
QUOTES, MOVES, SUM, SQUARES, MEDIAN_MOVE, VOLATILITY, LAST_AGE = range(7)
# Columns of levels().
COUNT, MEAN, DEVIATION, TOP, LAST = range(5)


@cache
def _compiled() -> Any:
    return import_module("services.market.analytics.compiled_kernels")


def logs_of(cents: Cents) -> tuple[Floats, bool]:
    """Logarithms by look-up, NaN for -1; False when any other price is below 1."""
    found: tuple[Floats, bool] = _compiled().logs_of(cents)
    return found


def theil_sen(logs: Floats, days: int, window: int, least: int) -> Floats:
    """Per card the median slope (log per day) over the window; NaN under `least` quotes."""
    found: Floats = _compiled().theil_sen(logs, days, window, least)
    return found


def moves(logs: Floats, days: int, window: int) -> Floats:
    """Per card how it moved: cards × 7, in the order of QUOTES … LAST_AGE.

    Moves are returns that are not 0. The volatility is the root of the mean square per elapsed
    day, each |r| held to five median moves; NaN where nothing or one day was quoted. The median
    move is NaN without moves. LAST_AGE is days since the newest quote in the window.
    """
    found: Floats = _compiled().moves(logs, days, window)
    return found


def levels(logs: Floats, days: int, window: int) -> Floats:
    """Per card where its logs lay: cards × 5, in the order of COUNT … LAST; NaN without a quote.

    DEVIATION is the sample's (n − 1), exactly 0 where all quotes are equal, NaN for one quote.
    """
    found: Floats = _compiled().levels(logs, days, window)
    return found


def known(logs: Floats, days: int, ago: int, slack: int) -> Floats:
    """Per card the newest log of days t − ago − slack … t − ago; NaN where there is none."""
    found: Floats = _compiled().known(logs, days, ago, slack)
    return found


def ages(logs: Floats, days: int) -> npt.NDArray[np.int64]:
    """Per card days since its last quote and since its last move: cards × 2, −1 where never."""
    found: npt.NDArray[np.int64] = _compiled().ages(logs, days)
    return found


def steps(logs: Floats, days: int, window: int) -> tuple[Floats, Floats]:
    """All moves of all cards in the window: the logs they started from, and |r|; flat."""
    found: tuple[Floats, Floats] = _compiled().steps(logs, days, window)
    return found


def tied(values: Floats, order: npt.NDArray[np.int64], known: int) -> Floats:
    """Ranks by an order of the `known` first, ties sharing their mean; NaN for the rest."""
    found: Floats = _compiled().tied(values, order, known)
    return found
