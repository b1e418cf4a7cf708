"""Suspect ticks: a fall that nobody asks so little for. Known on the day, settled by later ones.

Nothing rewrites the day itself: a verdict belongs to a later version. Arithmetic is in whole cents.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

import numpy as np
import numpy.typing as npt

from services.market.analytics.panel import NONE, Panel

Wide = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TickRule:
    """When a fall is suspect, in fractions of whole numbers.

    fall: the price before over the price now, at least. below: the price now over the lowest of
    today's and yesterday's lowest asks, less than. least_cents: the fall in cents, at least.
    """

    fall: tuple[int, int] = (3, 2)
    below: tuple[int, int] = (3, 5)
    least_cents: int = 100


class Verdict(Enum):
    """What later quotes said."""

    OPEN = "open"
    # The next other price agrees: it lies nearer to the suspect one.
    CLEARED = "cleared"
    # The next other price undoes half of the fall or more.
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A suspect tick; prices in cents, `low` the lowest ask of its day and the day before."""

    card: int
    day: date
    before: int
    price: int
    low: int


def find(market: Panel, low: Panel, rule: TickRule = TickRule()) -> list[Suspect]:
    """The suspect ticks of the panels' last day. Where no ask is known nothing is suspected."""
    price = market.cents[:, -1].astype(np.int64)
    before = previous(market)
    ask = _lowest(low)
    known = (price != NONE) & (before != NONE) & (ask != NONE)
    fell = before * rule.fall[1] >= price * rule.fall[0]
    under = price * rule.below[1] < ask * rule.below[0]
    rows = np.flatnonzero(known & fell & under & (before - price >= rule.least_cents))
    return [
        Suspect(row, market.last, int(before[row]), int(price[row]), int(ask[row]))
        for row in rows.tolist()
    ]


def previous(market: Panel) -> Wide:
    """Per card the newest price before the last day, in cents; NONE where there is none."""
    past = market.cents[:, :-1]
    if not past.shape[1]:
        return np.full(len(past), NONE, np.int64)
    back = np.argmax(past[:, ::-1] != NONE, axis=1)
    found: Wide = past[np.arange(len(past)), past.shape[1] - 1 - back].astype(np.int64)
    return found


def _lowest(low: Panel) -> Wide:
    """The lowest ask of the last two days, NONE where neither has one."""
    recent = low.cents[:, -2:].astype(np.int64)
    huge = np.iinfo(np.int64).max
    found: Wide = np.where(recent == NONE, huge, recent).min(axis=1)
    return np.where(found == huge, NONE, found)


def settle(market: Panel, suspect: Suspect) -> tuple[Verdict, date | None]:
    """What the panel knows of a suspect, and since which day; (OPEN, None) while nothing."""
    start = market.index(suspect.day) + 1
    later = market.cents[suspect.card, start:]
    other = np.flatnonzero((later != NONE) & (later != suspect.price))
    if not len(other):
        return Verdict.OPEN, None
    day = suspect.day + timedelta(days=1 + int(other[0]))
    undone = (int(later[other[0]]) - suspect.price) * 2 >= suspect.before - suspect.price
    return (Verdict.CONFIRMED if undone else Verdict.CLEARED), day
