"""Products of sources with ids of their own, and the cards that they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from libs.api import filters
from libs.db import Reader, Tx
from services.market.sources.adapter import Foreign

# A product of a source in one printing.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CardKey:
    """What price files call a card by."""

    category: str
    group: int
    product: int
    printing: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it is stored; `card` is None where nobody has said which it is."""

    quotes: str
    product: str
    printing: str
    display_name: str
    url: str
    first_day: date
    last_day: date
    card: str | None
    matched_by: str
    note: str
    match_time: datetime | None


_COLUMNS = (
    "quotes, product, printing, display_name, url, first_day, last_day, card, matched_by, note,"
    " match_time"
)
FILTERS = {
    "source": filters.text("quotes"),
    "display_name": filters.text("display_name"),
    "card": filters.text("coalesce(card, '')"),
}


async def seen(tx: Tx, quotes: str, day: date, found: Sequence[Foreign]) -> None:
    """Notes which products are quoted on a day; those not known yet wait for their card."""
    await tx.execute(
        "insert into source_products (quotes, product, printing, display_name, url, first_day,"
        " last_day) select $1, u.product, u.printing, u.name, u.url, $2, $2"
        " from unnest($3::text[], $4::text[], $5::text[], $6::text[])"
        " as u(product, printing, name, url) on conflict (quotes, product, printing) do update"
        " set display_name = excluded.display_name, url = excluded.url,"
        " first_day = least(source_products.first_day, excluded.first_day),"
        " last_day = greatest(source_products.last_day, excluded.last_day)",
        quotes,
        day,
        [one.product for one in found],
        [one.printing for one in found],
        [one.display_name for one in found],
        [one.url for one in found],
    )


async def cards(reader: Reader, quotes: str) -> dict[Key, CardKey]:
    """The cards of those products that have one."""
    rows = await reader.fetch(
        "select p.product, p.printing, c.category, c.set_id, c.product_id, c.printing as of"
        " from source_products p join cards c on c.id = p.card where p.quotes = $1",
        quotes,
    )
    return {
        (row["product"], row["printing"]): CardKey(
            row["category"], row["set_id"], row["product_id"], row["of"]
        )
        for row in rows
    }


async def match(
    tx: Tx, quotes: str, key: Key, card: str | None, who: str, note: str, now: datetime
) -> Product | None:
    """Says which card a product is, or with None that it waits again; None where there is no such
    product."""
    row = await tx.fetchrow(
        "update source_products set card = $4, matched_by = case when $4::text is null then ''"
        " else $5 end, note = $6, match_time = case when $4::text is null then null"
        " else $7::timestamptz end where quotes = $1 and product = $2 and printing = $3"
        f" returning {_COLUMNS}",
        quotes,
        *key,
        card,
        who,
        note,
        now,
    )
    return Product(*row) if row else None


async def page(
    reader: Reader,
    where: filters.Where,
    after: tuple[str, str, str] | None,
    limit: int,
    *,
    waiting: bool | None,
) -> list[Product]:
    """Products by source, product and printing, after a place; those that wait, those that do not,
    or all. `where` counts from 5."""
    state = {None: "true", True: "card is null", False: "card is not null"}[waiting]
    quotes, product, printing = after or (None, None, None)
    rows = await reader.fetch(
        f"select {_COLUMNS} from source_products where {state} and ($1::text is null"
        f" or (quotes, product, printing) > ($1, $2, $3)) and {where.sql}"
        " order by quotes, product, printing limit $4",
        quotes,
        product,
        printing,
        limit,
        *where.params,
    )
    return [Product(*row) for row in rows]
