"""Choosing among all cards at once, in memory: by what they are, what they cost, what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from services.market.domain import money
from services.market.domain.search import Postings

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Bounds of price bands in cents.
BANDS = (100, 500, 1000, 2500, 5000, 10_000, 50_000, 100_000)
# Texts that differ less in score are equally good; the dearer card is shown first then.
_STEP = 0.04


@dataclass(frozen=True, slots=True)
class Labels:
    """One property of all cards: `codes` are places in `values`."""

    values: tuple[str, ...]
    codes: Ints

    @classmethod
    def of(cls, texts: Sequence[str]) -> Labels:
        """Those of the cards' texts."""
        places: dict[str, int] = {}
        codes = np.fromiter(
            (places.setdefault(text, len(places)) for text in texts), np.int32, len(texts)
        )
        return cls(tuple(places), codes)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted. `labels` holds by property the values of which one must hold; prices are in
    cents, both ends included."""

    query: str = ""
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    least: int | None = None
    most: int | None = None

    def without(self, label: str) -> Selection:
        """The same, whatever that property."""
        return replace(self, labels={k: v for k, v in self.labels.items() if k != label})


@dataclass(frozen=True, slots=True)
class Facet:
    """A value of a property, and how many of the cards chosen by everything else have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """All cards: their numbers, properties, what can be searched, and prices in cents (money.NONE
    where unknown)."""

    cards: Ints
    labels: Mapping[str, Labels]
    postings: Postings
    prices: Ints

    def choose(self, wanted: Selection, scores: Floats | None) -> Mask:
        """Which cards are wanted; `scores` are those of the query, None without one."""
        chosen = np.ones(len(self.cards), np.bool_) if scores is None else scores > 0
        for name, values in wanted.labels.items():
            label = self.labels[name]
            codes = [at for at, value in enumerate(label.values) if value in values]
            chosen &= np.isin(label.codes, codes)
        if wanted.least is not None:
            chosen &= self.prices >= wanted.least
        if wanted.most is not None:
            chosen &= (self.prices <= wanted.most) & (self.prices != money.NONE)
        return chosen

    def scores(self, wanted: Selection) -> Floats | None:
        """Those of the query, None without one."""
        return self.postings.scores(wanted.query) if wanted.query.strip() else None

    def rank(self, chosen: Mask, scores: Floats | None) -> Ints:
        """The places of the chosen cards: the best answers first, of equal ones the dearer."""
        rows = np.flatnonzero(chosen)
        keys: list[npt.NDArray[np.int64]] = [rows, -self.prices[rows].astype(np.int64)]
        if scores is not None:
            keys.append(-np.round(scores[rows] / _STEP).astype(np.int64))
        return rows[np.lexsort(keys)].astype(np.int32)

    def facets(self, wanted: Selection, scores: Floats | None, most: int) -> dict[str, list[Facet]]:
        """By property its values, the most frequent first, at most so many; a property's own
        choice does not narrow it. Prices are in bands: "-1.00", "1.00-5.00", "1000.00-"."""
        found = {
            name: _counted(label, self.choose(wanted.without(name), scores), most)
            for name, label in self.labels.items()
        }
        free = replace(wanted, least=None, most=None)
        prices = self.prices[self.choose(free, scores)]
        known = prices[prices != money.NONE]
        counts = np.bincount(np.searchsorted(BANDS, known, side="right"), minlength=len(BANDS) + 1)
        found["price"] = [
            Facet(name, int(count)) for name, count in zip(_BANDS, counts, strict=True) if count
        ]
        return found


def _counted(label: Labels, chosen: Mask, most: int) -> list[Facet]:
    counts = np.bincount(label.codes[chosen], minlength=len(label.values))
    order = np.argsort(-counts, kind="stable")[:most].tolist()
    return [Facet(label.values[at], int(counts[at])) for at in order if counts[at]]


_ENDS = [money.decimal(bound) for bound in BANDS]
_BANDS = [f"{low}-{high}" for low, high in zip(["", *_ENDS], [*_ENDS, ""], strict=True)]
