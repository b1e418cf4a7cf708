"""Sources: who quotes, in which currency, and of copies in which condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.db import Reader, Tx
from services.market.domain.terms import Terms


@dataclass(frozen=True, slots=True)
class Source:
    """A source as it is stored. Lower numbers come first for headlines."""

    number: int
    name: str
    terms: Terms


async def register(tx: Tx, known: Mapping[str, Terms]) -> None:
    """Stores sources that are not there yet, in order; those that are keep their terms."""
    wanted = (
        list(known),
        [one.currency for one in known.values()],
        [one.condition for one in known.values()],
    )
    await tx.execute(
        "insert into sources (name, currency, condition)"
        " select u.name, u.currency, u.condition from unnest($1::text[], $2::text[], $3::text[])"
        " with ordinality as u (name, currency, condition, place)"
        " where not exists (select from sources s where s.name = u.name)"
        " order by u.place on conflict do nothing",
        *wanted,
    )
    await tx.execute(
        "update sources s set condition = u.condition"
        " from unnest($1::text[], $2::text[]) as u (name, condition)"
        " where s.name = u.name and s.condition = ''",
        wanted[0],
        wanted[2],
    )


async def read_all(reader: Reader) -> dict[str, Source]:
    """All sources by name."""
    rows = await reader.fetch(
        "select source, name, currency, condition from sources order by source"
    )
    return {row[1]: Source(row[0], row[1], Terms(row[2], row[3])) for row in rows}


async def lock(tx: Tx, source: Source) -> None:
    """Waits until no other import of this source is under way, and keeps others off till commit."""
    await tx.execute("select pg_advisory_xact_lock($1, $2)", _LOCK, source.number)


# The class of our locks on sources; any fixed number serves.
_LOCK = 0x6D6B7473
