"""The circuit breakers of mail providers as rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from libs.db import Reader, Tx
from services.delivery.domain.breaker import Breaker
from services.delivery.store import breakers

_COLUMNS = f"provider, {', '.join(breakers.FIELDS)}, probe_until"
_PLACES = ", ".join(f"${number}" for number in range(1, len(breakers.FIELDS) + 3))


@dataclass(frozen=True, slots=True)
class Kept:
    """A breaker, and until when a probe is taken to be under way; None for no probe."""

    breaker: Breaker
    probe_until: datetime | None = None


async def get(reader: Reader, provider: str) -> Kept | None:
    """The provider's; None where it has not failed of late."""
    row = await reader.fetchrow(
        f"select {_COLUMNS} from provider_breakers where provider = $1", provider
    )
    return Kept(breakers.from_row(row), row["probe_until"]) if row is not None else None


async def lock(tx: Tx, provider: str) -> Kept:
    """The provider's, which nobody else changes until the transaction ends. There may be no row
    to lock, so the name is."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 2))", f"breaker {provider}")
    return await get(tx, provider) or Kept(Breaker())


async def save(tx: Tx, provider: str, kept: Kept) -> None:
    """Writes it, or takes it away where it says nothing."""
    await tx.execute("delete from provider_breakers where provider = $1", provider)
    if not kept.breaker.is_forgettable:
        await tx.execute(
            f"insert into provider_breakers ({_COLUMNS}) values ({_PLACES})",
            provider,
            *breakers.to_row(kept.breaker),
            kept.probe_until,
        )
