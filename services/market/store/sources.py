"""Sources: who quotes, and in which currency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.db import Reader, Tx


@dataclass(frozen=True, slots=True)
class Source:
    """A source as it is stored. Lower numbers come first for headlines."""

    number: int
    name: str
    currency: str


async def register(tx: Tx, currencies: Mapping[str, str]) -> None:
    """Stores sources that are not there yet, in order; those that are keep their currency."""
    await tx.execute(
        "insert into sources (name, currency)"
        " select u.name, u.currency"
        " from unnest($1::text[], $2::text[]) with ordinality as u (name, currency, place)"
        " where not exists (select from sources s where s.name = u.name)"
        " order by u.place on conflict do nothing",
        list(currencies),
        list(currencies.values()),
    )


async def read_all(reader: Reader) -> dict[str, Source]:
    """All sources by name."""
    rows = await reader.fetch("select source, name, currency from sources order by source")
    return {row["name"]: Source(row["source"], row["name"], row["currency"]) for row in rows}


async def lock(tx: Tx, source: Source) -> None:
    """Waits until no other import of this source is under way, and keeps others off till commit."""
    await tx.execute("select pg_advisory_xact_lock($1, $2)", _LOCK, source.number)


# The class of our locks on sources; any fixed number serves.
_LOCK = 0x6D6B7473
