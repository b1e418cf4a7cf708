"""Cards: numbers for keys, and the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.db import Reader, Tx
from services.market.domain.cards import CardKey, NewCard
from services.market.domain.catalog import Catalog

_CHUNK = 5000
# One at a time makes cards, so that two sources that bring the same new cards cannot deadlock.
_LOCK = 0x6D6B7463


async def numbers(reader: Reader, ids: Sequence[str]) -> dict[str, tuple[int, CardKey]]:
    """Number and key of the cards that are there, by id; `ids` are distinct."""
    rows = await reader.fetch(
        "select id, card, category, product_id, printing"
        " from cards join unnest($1::text[]) as u (id) using (id)",
        ids,
    )
    return {row[0]: (row[1], (row[2], row[3], row[4])) for row in rows}


async def ids(reader: Reader, numbers: Sequence[int]) -> dict[int, str]:
    """The ids of distinct cards, by number."""
    rows = await reader.fetch(
        "select card, id from cards join unnest($1::int[]) as u (card) using (card)", numbers
    )
    return {row[0]: row[1] for row in rows}


async def lock(tx: Tx) -> None:
    """Waits until nobody else makes cards."""
    await tx.execute("select pg_advisory_xact_lock($1)", _LOCK)


async def insert(tx: Tx, cards: Sequence[NewCard]) -> dict[str, int]:
    """Makes cards, with what the catalogue says of their products. Answers numbers by id.

    The caller holds `lock` and knows that none of them is there.
    """
    made: dict[str, int] = {}
    for start in range(0, len(cards), _CHUNK):
        chunk = cards[start : start + _CHUNK]
        rows = await tx.fetch(
            "insert into cards (id, category, product_id, printing, display_name, set_id,"
            " set_name, number, rarity, sealed, image_uri)"
            " select u.id, u.category, u.product_id, u.printing,"
            " coalesce(p.name, u.product_id::text), coalesce(p.set_id, u.set_id),"
            " coalesce(p.set_name, ''), coalesce(p.number, ''), coalesce(p.rarity, ''), p.sealed,"
            " coalesce(p.image_uri, '')"
            " from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[])"
            " as u (id, category, product_id, printing, set_id)"
            " left join products p using (category, product_id)"
            " order by u.id"
            " returning id, card",
            [card.id for card in chunk],
            [card.key[0] for card in chunk],
            [card.key[1] for card in chunk],
            [card.key[2] for card in chunk],
            [card.set_id for card in chunk],
        )
        made.update((row[0], row[1]) for row in rows)
    return made


async def upsert_products(tx: Tx, catalog: Catalog) -> int:
    """Stores a catalogue and copies what is new to the cards. Answers how many products differed.

    The caller holds `lock`, so that a card made at the same time is not missed.
    """
    changed = 0
    for start in range(0, len(catalog), _CHUNK):
        chunk: list[list[Any]] = [column[start : start + _CHUNK] for column in catalog.columns]
        changed += await tx.fetchval(_UPSERT, *chunk)
    return changed


_UPSERT = """
with stored as (
    insert into products as p
        (category, set_id, set_name, published, product_id, name, number, rarity, sealed, image_uri)
    select * from unnest(
        $1::text[], $2::bigint[], $3::text[], $4::date[], $5::bigint[], $6::text[], $7::text[],
        $8::text[], $9::boolean[], $10::text[])
    on conflict (category, product_id) do update set
        set_id = excluded.set_id, set_name = excluded.set_name, published = excluded.published,
        name = excluded.name, number = excluded.number, rarity = excluded.rarity,
        sealed = excluded.sealed, image_uri = excluded.image_uri
    where (p.set_id, p.set_name, p.published, p.name, p.number, p.rarity, p.sealed, p.image_uri)
        is distinct from
        (excluded.set_id, excluded.set_name, excluded.published, excluded.name, excluded.number,
         excluded.rarity, excluded.sealed, excluded.image_uri)
    returning p.*
), copied as (
    update cards c set
        display_name = s.name, set_id = s.set_id, set_name = s.set_name, number = s.number,
        rarity = s.rarity, sealed = s.sealed, image_uri = s.image_uri
    from stored s
    where c.product_id = s.product_id and c.category = s.category
)
select count(*) from stored
"""
