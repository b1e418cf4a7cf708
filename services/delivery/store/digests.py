"""What waits for the digests of addresses, and whose is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from libs.db import Tx


async def add(tx: Tx, items: Sequence[tuple[UUID, UUID]]) -> None:
    """Keeps messages, each for an address, until its next digest."""
    await tx.execute(
        "insert into email_digest_items (address, message)"
        " select * from unnest($1::uuid[], $2::uuid[]) on conflict do nothing",
        [address for address, _ in items],
        [message for _, message in items],
    )


async def lock_due(tx: Tx, now: datetime, limit: int) -> list[UUID]:
    """Addresses whose digest is due and that nobody else is at. Their lanes are locked first, as
    ever; one that is locked by somebody comes with the next look."""
    rows = await tx.fetch(
        "select l.endpoint from lanes l where l.endpoint in (select id from email_addresses"
        " where digest_time <= $1 order by digest_time limit $2)"
        " order by l.endpoint for update skip locked",
        now,
        limit,
    )
    ids = [row["endpoint"] for row in rows]
    due = await tx.fetch(
        "select id from email_addresses where id = any($1) and digest_time <= $2 order by id"
        " for update skip locked",
        ids,
        now,
    )
    return [row["id"] for row in due]


async def take(tx: Tx, address: UUID, limit: int) -> list[bytes]:
    """The payloads of the oldest messages that wait for an address, which wait no longer. One that
    is too old to be kept is left out."""
    rows = await tx.fetch(
        "with taken as (delete from email_digest_items where (address, message) in"
        " (select address, message from email_digest_items where address = $1"
        " order by message limit $2) returning message)"
        " select m.payload from taken t join messages m on m.id = t.message order by m.id",
        address,
        limit,
    )
    return [row["payload"] for row in rows]


async def waits(tx: Tx, address: UUID) -> bool:
    """Whether anything waits for an address."""
    found: bool = await tx.fetchval(
        "select exists (select from email_digest_items where address = $1)", address
    )
    return found


async def set_next(tx: Tx, address: UUID, next_time: datetime | None) -> None:
    """When the address's next digest is due. Its owner changed nothing, so the etag stays."""
    await tx.execute(
        "update email_addresses set digest_time = $2 where id = $1", address, next_time
    )
