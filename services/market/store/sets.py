"""Sets: cards that were published together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from libs.api import filters
from libs.db import Reader
from services.market.domain.terms import Terms

FILTERS = {"category": filters.text("c.category")}


@dataclass(frozen=True, slots=True)
class CardSet:
    """A set; the name is empty where no catalogue says it."""

    category: str
    set_id: int
    name: str
    published: date | None
    products: int
    cards: int
    sealed: int


@dataclass(frozen=True, slots=True)
class Member:
    """A printing of a single product of a set, and what a source asks for it, in cents."""

    product: int
    printing: str
    terms: Terms
    market: int | None
    low: int | None


_SETS = """
select c.category, c.set_id, max(c.set_name) as name,
    (select max(published) from products p
        where p.category = c.category and p.set_id = c.set_id) as published,
    count(distinct c.product_id) filter (where c.sealed is not true) as products,
    count(*) filter (where c.sealed is not true) as cards,
    count(distinct c.product_id) filter (where c.sealed) as sealed
from cards c
"""


async def page(
    reader: Reader, where: filters.Where, after: tuple[str, int] | None, limit: int
) -> list[CardSet]:
    """Sets by category and id, after a place. `where` counts its parameters from 4."""
    category, set_id = after or (None, None)
    rows = await reader.fetch(
        f"{_SETS} where {where.sql}"
        " and ($1::text is null or (c.category, c.set_id) > ($1, $2::bigint))"
        " group by c.category, c.set_id order by c.category, c.set_id limit $3",
        category,
        set_id,
        limit,
        *where.params,
    )
    return [CardSet(*row) for row in rows]


async def get(reader: Reader, category: str, set_id: int) -> CardSet | None:
    """One set."""
    row: Any = await reader.fetchrow(
        f"{_SETS} where c.category = $1 and c.set_id = $2 group by c.category, c.set_id",
        category,
        set_id,
    )
    return None if row is None else CardSet(*row)


async def members(reader: Reader, category: str, set_id: int) -> Sequence[Member]:
    """The printings of a set's single products by each source, the first source first."""
    rows = await reader.fetch(
        "select c.product_id, c.printing, s.currency, s.condition, l.market, l.low from cards c"
        " join card_latest l on l.card = c.card join sources s on s.source = l.source"
        " where c.set_id = $2 and c.category = $1 and c.sealed is not true order by s.source",
        category,
        set_id,
    )
    return [Member(row[0], row[1], Terms(row[2], row[3]), row[4], row[5]) for row in rows]
