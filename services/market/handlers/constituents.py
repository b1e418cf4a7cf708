"""What the cards of an index are of its level on a day: any level can be added up again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from libs.db import Reader
from services.market.analytics.indices import STALE
from services.market.domain.money import NONE
from services.market.store import cards, quotes
from services.market.store.indices import Basket, Level
from services.market.store.quotes import Quotes
from services.market.store.wire import day_number, day_of


@dataclass(frozen=True, slots=True)
class Constituent:
    """A card of an index; prices in cents. Without copies it has left."""

    number: int
    card: str
    start_price: int
    price: int
    price_day: date
    copies: float
    points: float


async def of_basket(
    reader: Reader, source: int, basket: Basket, level: Level, after: int, limit: int
) -> list[Constituent]:
    """The cards of a basket with a number above `after`, on the day of a level of its time."""
    start = int(np.searchsorted(basket.cards, after, side="right"))
    numbers = basket.cards[start : start + limit].tolist()
    found = await quotes.of_cards(reader, source, numbers, basket.start, level.day)
    names = await cards.ids(reader, numbers)
    return [
        _constituent(number, names[number], days, prices, basket, level)
        for number, days, prices in _by_card(found)
    ]


def _by_card(found: Quotes) -> Iterator[tuple[int, Sequence[int], Sequence[int]]]:
    """The days and market prices of each card, in order."""
    known = found.market != NONE
    numbers, days, prices = found.cards[known], found.days[known], found.market[known]
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for part in np.split(np.arange(len(numbers)), starts[1:]):
        yield int(numbers[part[0]]), days[part].tolist(), prices[part].tolist()


def _constituent(
    number: int,
    card: str,
    days: Sequence[int],
    prices: Sequence[int],
    basket: Basket,
    level: Level,
) -> Constituent:
    gaps = np.diff([*days, day_number(level.day) + 1])
    copies = 1 / prices[0] if basket.equal_value else 1.0
    # See analytics.indices: it leaves on the day on which its last quote is older than STALE days.
    if (gaps > STALE + 1).any():
        copies = 0.0
    return Constituent(
        *(number, card, prices[0], prices[-1], day_of(days[-1]), copies),
        points=copies * prices[-1] / level.divisor,
    )
