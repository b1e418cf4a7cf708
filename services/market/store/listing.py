"""Lists of cards with their headlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.api import filters
from libs.db import Reader
from services.market.domain.quotes import Card, Quote

FILTERS = {
    "category": filters.text("c.category"),
    "product_id": filters.whole("c.product_id"),
    "printing": filters.text("c.printing"),
    "set_id": filters.whole("c.set_id"),
    "set_name": filters.text("c.set_name"),
    "number": filters.text("c.number"),
    "rarity": filters.text("c.rarity"),
    "sealed": filters.truth("c.sealed"),
    "display_name": filters.text("c.display_name"),
    "market": filters.cents("l.market"),
}

Place = tuple[str | int | None, str | int | None]


@dataclass(frozen=True, slots=True)
class Order:
    """Two expressions that order cards without ties, both the same way, with an index of both."""

    first: str
    second: str
    descending: bool = False


# Prices that are not known come last.
ORDERS = {
    "name": Order("c.id", "c.card"),
    "display_name": Order("c.display_name", "c.id"),
    "product_id": Order("c.product_id", "c.id"),
    "market desc": Order("coalesce(l.market, -1)", "l.card", descending=True),
}

_SELECT = """
select c.card, c.id, c.category, c.product_id, c.printing, c.display_name, c.set_id, c.set_name,
    c.number, c.rarity, c.sealed, c.image_uri,
    l.day, s.name as source, s.currency, s.condition,
    l.market, l.low, l.mid, l.high, l.direct_low"""
_FROM = """
from cards c
join card_latest l on l.card = c.card and l.headline
join sources s on s.source = l.source
"""


async def page(
    reader: Reader, order: Order, where: filters.Where, after: Place | None, limit: int
) -> tuple[list[Card], Place | None]:
    """Cards in order, and where the next page begins, None at the end.

    `where` counts its parameters from 2.
    """
    direction, sign = ("desc", "<") if order.descending else ("asc", ">")
    keyset, place = "", len(where.params) + 2
    if after is not None:
        keyset = f" and ({order.first}, {order.second}) {sign} (${place}, ${place + 1})"
    rows = await reader.fetch(
        f"{_SELECT}, {order.first}, {order.second} {_FROM} where {where.sql}{keyset}"
        f" order by {order.first} {direction}, {order.second} {direction} limit $1",
        limit + 1,
        *where.params,
        *(after or ()),
    )
    last = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else (last[-2], last[-1])
    return [_card(row) for row in rows[:limit]], following


async def get(reader: Reader, id: str) -> Card | None:
    """One card."""
    row = await reader.fetchrow(f"{_SELECT} {_FROM} where c.id = $1", id)
    return None if row is None else _card(row)


async def by_number(reader: Reader, numbers: Sequence[int]) -> dict[int, Card]:
    """Cards by their numbers."""
    rows = await reader.fetch(f"{_SELECT} {_FROM} where c.card = any($1::int[])", numbers)
    return {row["card"]: _card(row) for row in rows}


async def of_product(reader: Reader, category: str, product: int) -> list[Card]:
    """The printings of a product, the cheapest first, those without a price last."""
    rows = await reader.fetch(
        f"{_SELECT} {_FROM} where c.product_id = $2 and c.category = $1"
        " order by l.market nulls last, c.id",
        category,
        product,
    )
    return [_card(row) for row in rows]


async def number(reader: Reader, id: str) -> int | None:
    """The number of a card."""
    found: int | None = await reader.fetchval("select card from cards where id = $1", id)
    return found


def _card(row: Any) -> Card:
    headline = None
    if row["day"] is not None:
        headline = Quote(*row[12:21])
    values = [*row[:12], headline]
    return Card(*values)
