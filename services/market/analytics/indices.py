"""Indices of cards by the divisor method: a level that moves with prices and with nothing else.

level(t) = Σ nᵢ pᵢ(t) / D. Copies n are set on rebalancing days; at each change of members or copies
D is set so that the level at that day's prices is the same before and after. A member without a
quote counts with its last known one; a member not quoted for STALE days is replaced in value by the
rest (it leaves). What enters, enters at its price of the day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import Enum

import numpy as np
import numpy.typing as npt

from services.market.analytics.panel import NONE, Panel

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BASE = 100.0
# A member whose last quote is older leaves at that quote.
STALE = 30


class Weighting(Enum):
    """How copies are set on a rebalancing day."""

    # The same value of each card.
    EQUAL = "equal"
    # One copy of each: the dear ones weigh more. There is no supply in the data to weigh by.
    PRICE = "price"


@dataclass(frozen=True, slots=True)
class Index:
    """Levels by day (NaN before the first with members), divisors, and how many members."""

    levels: Floats
    divisors: Floats
    members: npt.NDArray[np.int64]


@dataclass(slots=True)
class State:
    """What an index carries from day to day; all there is to continue it.

    copies: per card, 0 for what is no member. last: last known price in cents, NaN before one.
    ages: days since that quote. divisor and level: NaN before the first member.
    """

    copies: Floats
    last: Floats
    ages: npt.NDArray[np.int64]
    divisor: float = np.nan
    level: float = np.nan

    @classmethod
    def empty(cls, cards: int) -> State:
        """Before the first day."""
        return cls(np.zeros(cards), np.full(cards, np.nan), np.zeros(cards, np.int64))

    def see(self, cents: npt.NDArray[np.int32]) -> None:
        """Takes a day's prices; the level moves with them, by the copies held."""
        quoted = cents != NONE
        self.last = np.where(quoted, cents, self.last)
        self.ages = np.where(quoted, 0, self.ages + 1)
        held = self.copies > 0
        if held.any():
            self.level = float(self.copies[held] @ self.last[held]) / self.divisor

    def hold(self, copies: Floats) -> None:
        """Changes members or copies at today's prices; the level stays where it is.

        Copies of cards without a known price are none. With nothing left the index rests at its
        level until something enters.
        """
        kept = np.where(np.isnan(self.last), 0.0, copies)
        held = kept > 0
        if np.isnan(self.level) and held.any():
            self.level = BASE
        self.copies = kept
        value = float(kept[held] @ self.last[held])
        self.divisor = value / self.level if held.any() else np.nan

    def drop_stale(self) -> None:
        """Lets members go that have not been quoted for STALE days."""
        gone = (self.copies > 0) & (self.ages > STALE)
        if gone.any():
            self.hold(np.where(gone, 0.0, self.copies))


def copies_of(weighting: Weighting, members: Mask, prices: Floats) -> Floats:
    """Copies of each card: of value 1 each, or one of each; 0 for others."""
    if weighting is Weighting.PRICE:
        return members.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(members, 1 / prices, 0.0)


def follow(
    panel: Panel,
    members: Callable[[Panel], Mask],
    weighting: Weighting,
    rebalance: Iterable[date] | None = None,
) -> Index:
    """An index from the panel's first day to its last.

    `members` says from the panel as of a day who belongs (a mask of cards); it is asked on each
    day of `rebalance`, and copies are set anew. Without such days it is buy-and-hold: who belongs
    on the first day with any member stays, until it goes stale. The first day with a member is
    always a rebalancing day.
    """
    days = None if rebalance is None else set(rebalance)
    state = State.empty(panel.card_count)
    levels, divisors = np.full((2, panel.day_count), np.nan)
    counts = np.zeros(panel.day_count, np.int64)
    for place, day in enumerate(panel):
        state.see(panel.cents[:, place])
        state.drop_stale()
        if np.isnan(state.level) or (days is not None and day in days):
            chosen = members(panel.as_of(day)) & (panel.cents[:, place] != NONE)
            state.hold(copies_of(weighting, chosen, state.last))
        levels[place], divisors[place] = state.level, state.divisor
        counts[place] = np.count_nonzero(state.copies)
    return Index(levels, divisors, counts)


def chain(levels: Floats, base: float = BASE) -> Floats:
    """The same index from another base: the first known level becomes `base`."""
    known = np.flatnonzero(~np.isnan(levels))
    return levels * (base / levels[known[0]]) if len(known) else levels


def naive_average(panel: Panel) -> Floats:
    """By day the mean of whatever is quoted, 100 at first: what an index must not be."""
    quoted = panel.cents != NONE
    total = np.where(quoted, panel.cents, 0).sum(axis=0, dtype=np.float64)
    counts = quoted.sum(axis=0)
    means = np.full(panel.day_count, np.nan)
    np.divide(total, counts, out=means, where=counts > 0)
    return chain(means)
