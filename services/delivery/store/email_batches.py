"""E-mails that go out in one request, kept until it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.db import Database, Tx


@dataclass(frozen=True, slots=True)
class Batch:
    """A request of many e-mails; `keys` are their idempotency keys, in its order."""

    id: UUID
    keys: tuple[str, ...]
    payload: bytes
    create_time: datetime


async def insert(tx: Tx, batch: Batch, sends: Sequence[tuple[UUID, UUID]]) -> None:
    """Keeps a batch before it goes out; `sends` are (message, address) of its e-mails."""
    await tx.execute(
        "insert into email_batches (id, deliveries, payload, create_time) values ($1, $2, $3, $4)",
        batch.id,
        list(batch.keys),
        batch.payload,
        batch.create_time,
    )
    await tx.execute(
        "insert into email_batch_sends (batch, message, endpoint)"
        " select $1, * from unnest($2::uuid[], $3::uuid[])"
        " on conflict (message, endpoint) do update set batch = excluded.batch",
        batch.id,
        [message for message, _ in sends],
        [address for _, address in sends],
    )


async def of(db: Database, message: UUID, address: UUID) -> Batch | None:
    """The batch in which an e-mail may have gone out; None where it is not known to be in one."""
    row = await db.fetchrow(
        "select b.id, b.deliveries, b.payload, b.create_time from email_batch_sends p"
        " join email_batches b on b.id = p.batch where p.message = $1 and p.endpoint = $2",
        message,
        address,
    )
    if row is None:
        return None
    return Batch(row["id"], tuple(row["deliveries"]), row["payload"], row["create_time"])


async def dissolve(db: Database, id: UUID) -> None:
    """The batch has certainly not gone out, or so long ago that its key is forgotten."""
    await db.execute("delete from email_batches where id = $1", id)


async def prune(db: Database, older_than: timedelta) -> None:
    """Forgets batches whose keys the provider has forgotten too."""
    await db.execute(
        "delete from email_batches where create_time < now() - $1::interval", older_than
    )
