"""The indices as data: who belongs, how copies are set, and on which days they are set anew.

Who belongs is quoted on the rebalancing day, at LEAST or more, and of the right sort. Between two
rebalancing days nothing changes but prices; a member that is not quoted for indices.STALE days
leaves at its last quote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

import numpy as np
import numpy.typing as npt

from services.market.analytics.indices import BASE, Weighting, follow
from services.market.analytics.panel import NONE, Panel

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

# Cents: below, a cent up or down is a large share.
LEAST = 100
# A set with fewer single cards has no index.
LEAST_OF_SET = 20
TOP = 100


class Rhythm(Enum):
    """When copies are set anew: on the first quoted day of a month, or of a year."""

    MONTHLY = "monthly"
    YEARLY = "yearly"

    def begins(self, day: date, before: date) -> bool:
        """Whether a period begins between two days that follow each other in the data."""
        if self is Rhythm.YEARLY:
            return day.year != before.year
        return (day.year, day.month) != (before.year, before.month)


@dataclass(frozen=True, slots=True)
class Definition:
    """An index. `top` takes only so many, the dearest."""

    id: str
    title: str
    weighting: Weighting
    rhythm: Rhythm
    top: int | None = None

    @property
    def methodology(self) -> str:
        """In a sentence."""
        who = f"the {self.top} dearest" if self.top else "all"
        how = {
            Weighting.EQUAL: "the same value of each",
            Weighting.PRICE: "one copy of each, so that dear ones weigh more",
        }[self.weighting]
        return (
            f"{self.title}: of the cards quoted at {LEAST / 100:.2f} or more on the first quoted"
            f" day of the {'month' if self.rhythm is Rhythm.MONTHLY else 'year'}, {who}, {how};"
            " held until the next such day, when the divisor keeps the level; a card without a"
            " quote counts with its last, and leaves after 30 days without one"
        )


@dataclass(frozen=True, slots=True)
class Attributes:
    """By row: whether sealed, the set as "category-id", its title and year of publication (0 where
    no catalogue says)."""

    sealed: Mask
    sets: Sequence[str]
    titles: Mapping[str, str]
    years: npt.NDArray[np.int64]


# First years of eras of the game's cards.
ERAS = (1996, 2003, 2007, 2011, 2014, 2017, 2020, 2023)


def definitions(of: Attributes) -> Iterator[tuple[Definition, Mask]]:
    """The indices there are, with the rows that may belong."""
    single, monthly = ~of.sealed, Rhythm.MONTHLY
    yield Definition("all-equal", "All single cards", Weighting.EQUAL, monthly), single
    yield Definition("all-price", "All single cards by price", Weighting.PRICE, monthly), single
    yield Definition("top-100", "Dearest cards", Weighting.PRICE, monthly, TOP), single
    yield (
        Definition("all-held", "All single cards, held", Weighting.PRICE, Rhythm.YEARLY),
        single,
    )
    yield Definition("sealed-equal", "Sealed products", Weighting.EQUAL, monthly), of.sealed
    for at, first in enumerate(ERAS):
        last = ERAS[at + 1] - 1 if at + 1 < len(ERAS) else 9999
        rows = single & (of.years >= first) & (of.years <= last)
        told = f"{first}–{last}" if last < 9999 else f"{first} and later"
        if rows.any():
            title = f"Single cards of {told}"
            yield Definition(f"era-{first}", title, Weighting.EQUAL, monthly), rows
    yield from _of_sets(of, single)


def _of_sets(of: Attributes, single: Mask) -> Iterator[tuple[Definition, Mask]]:
    names, places = np.unique(np.array(of.sets), return_inverse=True)
    counts = np.bincount(places[single], minlength=len(names))
    for at in np.flatnonzero(counts >= LEAST_OF_SET).tolist():
        name = str(names[at])
        title = of.titles.get(name) or name
        definition = Definition(f"set-{name}", title, Weighting.EQUAL, Rhythm.MONTHLY)
        yield definition, single & (places == at)


def members(definition: Definition, panel: Panel) -> Mask:
    """Of a panel of rows that may belong, those that do on its last day."""
    cents = panel.cents[:, -1]
    chosen: Mask = (cents != NONE) & (cents >= LEAST)
    if definition.top is not None and int(chosen.sum()) > definition.top:
        order = np.argsort(-np.where(chosen, cents, NONE), kind="stable")
        chosen = np.zeros_like(chosen)
        chosen[order[: definition.top]] = True
    return chosen


@dataclass(frozen=True, slots=True)
class Levels:
    """By quoted day of a panel the level, the divisor and how many members; by rebalancing day who
    belonged, as rows of the panel."""

    days: Sequence[date]
    levels: Floats
    divisors: Floats
    members: npt.NDArray[np.int64]
    baskets: Mapping[date, npt.NDArray[np.intp]]


def levels(definition: Definition, panel: Panel, base: float = BASE) -> Levels:
    """The index over a panel of rows that may belong; `base` is its level on the first day, which
    is a rebalancing day. Days without any quote are left out."""
    quoted = np.flatnonzero((panel.cents != NONE).any(axis=0)).tolist()
    days = list(panel)
    rebalance = [
        days[at]
        for place, at in enumerate(quoted)
        if place == 0 or definition.rhythm.begins(days[at], days[quoted[place - 1]])
    ]
    baskets: dict[date, npt.NDArray[np.intp]] = {}

    def chosen(then: Panel) -> Mask:
        mask = members(definition, then)
        baskets[then.last] = np.flatnonzero(mask)
        return mask

    found = follow(panel, chosen, definition.weighting, rebalance)
    known = [at for at in quoted if not np.isnan(found.levels[at])]
    return Levels(
        [days[at] for at in known],
        found.levels[known] * (base / BASE),
        found.divisors[known] * (BASE / base),
        found.members[known],
        baskets,
    )
