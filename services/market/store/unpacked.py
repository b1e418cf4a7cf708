"""Quotes of a month as a table that anybody can read."""

from __future__ import annotations

from collections.abc import Mapping

from libs.db import Reader, Tx
from services.market.domain.prices import FIELDS
from services.market.store import quotes
from services.market.store.quotes import Quotes
from services.market.store.sources import Source


async def ids(reader: Reader) -> dict[int, str]:
    """The id of every card by its number."""
    rows = await reader.fetch("select card, id from cards")
    return {row["card"]: row["id"] for row in rows}


async def make(tx: Tx, table: str, found: Mapping[Source, Quotes]) -> None:
    """Makes a table of day, source, card and prices. `table` is a plain name, not in use yet."""
    await tx.execute("create temporary table unpacked (like quotes) on commit drop")
    for source, one in found.items():
        await quotes.copy(tx, "unpacked", source.number, one)
    prices = ", ".join(f"({field} / 100.0)::numeric(12, 2) as {field}" for field in FIELDS)
    await tx.execute(
        f"create table {table} as"
        f" select u.day, s.name as source, c.id as card, {prices}"
        " from unpacked u join cards c using (card) join sources s using (source)"
        " order by u.day, source, card"
    )
