"""How risky a basket of cards was: a year of its prices, against an index."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from libs.db import Database
from services.market.analytics import risk
from services.market.analytics.panel import NONE, Panel
from services.market.analytics.risk import Beta, Drawdown, Shrunk, ValueAtRisk
from services.market.store import indices, quotes
from services.market.store.quotes import Quotes
from services.market.store.wire import day_number

Floats = npt.NDArray[np.float64]

DAYS = 365


@dataclass(frozen=True, slots=True)
class CardRisk:
    """One card; NaN where unknown. `weight` is its share of the basket's worth."""

    weight: float
    volatility: float
    beta: float
    drawdown: float


@dataclass(frozen=True, slots=True)
class BasketRisk:
    """Days first and last; `cards` in the order they were asked for; `correlated` the places of
    those in `shrunk`, which is None with fewer than two."""

    days: tuple[date, date]
    worth: float
    volatility: float
    beta: Beta
    dimson: Beta
    drawdown: Drawdown
    loss: ValueAtRisk
    cards: Sequence[CardRisk]
    correlated: Sequence[int]
    shrunk: Shrunk | None


class Risks:
    """Reads prices, and computes beside the event loop."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def basket(
        self, source: int, day: date, cards: Sequence[int], copies: Sequence[float], index: str
    ) -> BasketRisk:
        """Of these card numbers, by a source's prices up to a day, against an index's id."""
        first = day - timedelta(days=DAYS - 1)
        found = await quotes.of_cards(self._db, source, cards, first, day)
        levels = (await indices.at(self._db, source, first, day)).get(index, {})
        return await asyncio.to_thread(compute, first, day, cards, copies, found, levels)


def compute(
    first: date,
    last: date,
    cards: Sequence[int],
    copies: Sequence[float],
    found: Quotes,
    levels: Mapping[date, float],
) -> BasketRisk:
    """The risk of so many copies of each card, from their quotes and an index's levels."""
    panel = _panel(first, cards, found)
    filled = risk.filled(panel)
    held = np.array(copies, np.float64)
    worth = risk.basket(panel, held)
    days = (first + timedelta(days=number) for number in range(DAYS))
    index = np.array([levels.get(day, np.nan) for day in days], np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = held * filled[:, -1] / worth[-1]
    places, shrunk = _correlated(filled)
    return BasketRisk(
        days=(first, last),
        worth=float(worth[-1]),
        volatility=risk.volatility(worth),
        beta=risk.beta(worth, index),
        dimson=risk.dimson_beta(worth, index),
        drawdown=risk.drawdown(worth),
        loss=risk.value_at_risk(worth),
        cards=[
            CardRisk(
                float(share),
                risk.volatility(row),
                risk.beta(row, index).value,
                risk.drawdown(row).depth,
            )
            for share, row in zip(shares, filled, strict=True)
        ],
        correlated=places,
        shrunk=shrunk,
    )


def _panel(first: date, cards: Sequence[int], found: Quotes) -> Panel:
    cents = np.full((len(cards), DAYS), NONE, np.int32)
    order = np.argsort(cards)
    rows = order[np.searchsorted(cards, found.cards, sorter=order)]
    cents[rows, found.days - day_number(first)] = found.market
    return Panel.load(first, cents)


def _correlated(filled: Floats) -> tuple[list[int], Shrunk | None]:
    """Of the cards that have a price on all days. Overlapping returns: each a month."""
    places = np.flatnonzero(~np.isnan(filled).any(axis=1)).tolist()
    if len(places) < 2:
        return [], None
    return places, risk.shrunk(risk.log_returns(filled[places], risk.HORIZON).T)
