"""Messages that consumers gave up, in their service's own database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.db import Reader, Tx
from libs.events.outbox import record_of, row
from libs.events.record import Partition, Record, Stored

_LETTER_COLUMNS = """
d.id, c.name as consumer, d.topic, d.partition, d."offset", d.event_id, d.key, d.type, d.time,
d.source, d.payload, d.headers, d.error, d.create_time, d.redrive_time
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a consumer gave up. `redrive_time` is set once it was handled after all."""

    id: UUID
    consumer: str
    record: Record
    offset: int
    error: str
    create_time: datetime
    redrive_time: datetime | None


async def letters_since(tx: Reader, consumer: int, partition: Partition, since: datetime) -> int:
    """How many dead letters the partition had since then, and since it was last resumed."""
    count: int = await tx.fetchval(
        "select count(*) from event_dead_letters d join event_positions p"
        " using (consumer, topic, partition)"
        " where consumer = $1 and topic = $2 and partition = $3"
        " and create_time > greatest($4, coalesce(resume_time, '-infinity'))",
        consumer,
        partition.topic,
        partition.number,
        since,
    )
    return count


async def bury(tx: Tx, consumer: int, id: UUID, stored: Stored, error: str, now: datetime) -> None:
    """Keeps a message that was given up."""
    event_id, topic, partition, *rest = row(stored.record)
    await tx.execute(
        'insert into event_dead_letters (id, consumer, "offset", error, create_time, event_id,'
        " topic, partition, key, type, time, source, payload, headers)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::jsonb)",
        id,
        consumer,
        stored.offset,
        error,
        now,
        event_id,
        topic,
        partition,
        *rest,
    )


async def letters(db: Reader, *, after: UUID | None = None, limit: int = 50) -> list[DeadLetter]:
    """Dead letters of all consumers in this database, oldest first, after the one with this id."""
    rows = await db.fetch(
        f"select {_LETTER_COLUMNS} from event_dead_letters d"
        " join event_consumers c on c.id = d.consumer"
        " where $1::uuid is null or d.id > $1 order by d.id limit $2",
        after,
        limit,
    )
    return [_letter(row) for row in rows]


async def waiting_letters(db: Reader) -> int:
    """How many dead letters wait for a person."""
    count: int = await db.fetchval(
        "select count(*) from event_dead_letters where redrive_time is null"
    )
    return count


async def open_letter(tx: Tx, consumer: int, id: UUID) -> DeadLetter | None:
    """One dead letter of this consumer, locked; None where there is none."""
    found = await tx.fetchrow(
        f"select {_LETTER_COLUMNS} from event_dead_letters d"
        " join event_consumers c on c.id = d.consumer"
        " where d.id = $1 and d.consumer = $2 for update of d",
        id,
        consumer,
    )
    return _letter(found) if found is not None else None


async def redriven(tx: Tx, consumer: int, letter: DeadLetter, now: datetime) -> None:
    """Notes that it was handled: afresh in the inbox, too."""
    await tx.execute(
        "update event_dead_letters set redrive_time = $2 where id = $1", letter.id, now
    )
    await tx.execute(
        "insert into event_inbox (consumer, event_id, handle_time) values ($1, $2, $3)",
        consumer,
        letter.record.id,
        now,
    )


def _letter(row: Any) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        consumer=row["consumer"],
        record=record_of(row, row["topic"], row["partition"]),
        offset=row["offset"],
        error=row["error"],
        create_time=row["create_time"],
        redrive_time=row["redrive_time"],
    )
