"""What it costs to have one of each product of a set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CHEAPEST = "cheapest"


@dataclass(frozen=True, slots=True)
class Priced:
    """A printing of a product: its market price and lowest ask in cents, None where unknown."""

    product: int
    printing: str
    market: int | None
    low: int | None


@dataclass(frozen=True, slots=True)
class Completion:
    """One of each product in a printing: the priced ones that are counted, and how many products
    have no price and are in no sum."""

    printing: str
    priced: tuple[Priced, ...]
    unknown: int

    @property
    def market(self) -> int:
        """The sum of market prices in cents."""
        return sum(one.market or 0 for one in self.priced)


def completions(members: Iterable[Priced]) -> Sequence[Completion]:
    """By printing, the most frequent first, after the choice of whichever costs least."""
    products: defaultdict[int, list[Priced]] = defaultdict(list)
    printings: defaultdict[str, list[Priced]] = defaultdict(list)
    for one in members:
        products[one.product].append(one)
        printings[one.printing].append(one)
    cheapest = []
    for found in products.values():
        known = [one for one in found if one.market is not None]
        cheapest.append(min(known, key=lambda one: one.market or 0) if known else found[0])
    order = sorted(printings, key=lambda name: (-len(printings[name]), name))
    return [
        _completion(CHEAPEST, cheapest),
        *(_completion(name, printings[name]) for name in order),
    ]


def _completion(printing: str, chosen: Sequence[Priced]) -> Completion:
    priced = tuple(one for one in chosen if one.market is not None)
    return Completion(printing, priced, len(chosen) - len(priced))
