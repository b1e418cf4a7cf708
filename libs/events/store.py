"""What a consumer keeps in its service's own database: positions and inbox.

What it gave up is in `store_letters`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from libs.db import Database, Reader, Tx
from libs.events.record import Partition

# For `libs.db.migrate`, under the namespace "events".
MIGRATIONS = Path(__file__).with_name("migrations")

# One round trip: the compare-and-set of all positions, and the inbox rows that are new.
_CLAIM = """
with moved as (
    update event_positions p set position = m.next
    from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
        as m(topic, partition, expected, next)
    where p.consumer = $1 and p.topic = m.topic and p.partition = m.partition
        and p.position = m.expected and p.halt is null
    returning 1
), fresh as (
    insert into event_inbox (consumer, event_id, handle_time)
    select $1, id, $7 from unnest($6::uuid[]) as id
    on conflict do nothing returning event_id
)
select (select count(*) from moved) as moved, array(select event_id from fresh) as fresh
"""
_PLACE = """
insert into event_positions (consumer, topic, partition, position)
select $1, topic, partition, start from unnest($2::text[], $3::int[], $4::bigint[])
    as p(topic, partition, start)
on conflict (consumer, topic, partition) do update
    set position = coalesce(event_positions.position, excluded.position)
returning topic, partition, position, halt
"""
_PRUNE = """
delete from event_inbox where ctid = any (array(
    select ctid from event_inbox where consumer = $1 and handle_time < $2 limit 10000
))
"""


class PositionMovedError(Exception):
    """Somebody else handled these records, or halted the partition: read the position again."""


@dataclass(frozen=True, slots=True)
class Move:
    """A partition's position: what it should be, and what it becomes."""

    partition: Partition
    expected: int
    next: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a partition stands. `halt` says why it stands still; empty where it does not."""

    partition: Partition
    position: int
    halt: str


async def consumer_id(db: Database, name: str) -> int:
    """The consumer's number in this database."""
    found: int | None = await db.fetchval("select id from event_consumers where name = $1", name)
    while found is None:
        found = await db.fetchval(
            "insert into event_consumers (name) values ($1)"
            " on conflict (name) do update set name = excluded.name returning id",
            name,
        )
    return found


async def place(db: Database, consumer: int, starts: Mapping[Partition, int]) -> list[Place]:
    """Where these partitions stand; those that never were handled start at `starts`."""
    rows = await db.fetch(
        _PLACE,
        consumer,
        [partition.topic for partition in starts],
        [partition.number for partition in starts],
        list(starts.values()),
    )
    return [_place(row) for row in rows]


async def places(db: Reader, consumer: int) -> list[Place]:
    """Where all partitions of a consumer stand."""
    rows = await db.fetch(
        "select topic, partition, coalesce(position, 0) as position, halt from event_positions"
        " where consumer = $1 order by topic, partition",
        consumer,
    )
    return [_place(row) for row in rows]


async def claim(
    tx: Tx, consumer: int, moves: Sequence[Move], ids: Collection[UUID], now: datetime
) -> set[UUID]:
    """Moves the positions and answers which events are new.

    Raises PositionMovedError when a position is not what it should be.
    """
    found = await tx.fetchrow(
        _CLAIM,
        consumer,
        [move.partition.topic for move in moves],
        [move.partition.number for move in moves],
        [move.expected for move in moves],
        [move.next for move in moves],
        list(ids),
        now,
    )
    assert found is not None
    if found["moved"] != len(moves):
        raise PositionMovedError(f"{len(moves) - found['moved']} of {len(moves)} positions")
    return set(found["fresh"])


async def halt(db: Database, consumer: int, partition: Partition, reason: str) -> None:
    """Has the partition stand still, in every replica and after a restart."""
    await db.execute(
        "update event_positions set halt = $4"
        " where consumer = $1 and topic = $2 and partition = $3",
        consumer,
        partition.topic,
        partition.number,
        reason,
    )


async def resume(
    db: Database, consumer: int, partition: Partition, now: datetime, *, from_start: bool
) -> bool:
    """Has it go on; `from_start` at the beginning of the log. False where it had not halted."""
    tag = await db.execute(
        "update event_positions set halt = null, resume_time = $4,"
        " position = case when $5 then null else position end"
        " where consumer = $1 and topic = $2 and partition = $3 and halt is not null",
        consumer,
        partition.topic,
        partition.number,
        now,
        from_start,
    )
    return tag != "UPDATE 0"


async def unhalt(db: Database, consumer: int, partitions: Collection[Partition]) -> None:
    """Gives halted partitions another try, as their new owner does."""
    await db.execute(
        "update event_positions p set halt = null"
        " from unnest($2::text[], $3::int[]) as u(topic, partition)"
        " where consumer = $1 and p.topic = u.topic and p.partition = u.partition"
        " and halt is not null",
        consumer,
        [partition.topic for partition in partitions],
        [partition.number for partition in partitions],
    )


async def caught_up(
    db: Database, consumer: int, partitions: Collection[Partition], when: datetime
) -> None:
    """Notes that everything appended before `when` was handled."""
    await db.execute(
        "update event_positions p set caught_up_time = $4"
        " from unnest($2::text[], $3::int[]) as u(topic, partition)"
        " where consumer = $1 and p.topic = u.topic and p.partition = u.partition",
        consumer,
        [partition.topic for partition in partitions],
        [partition.number for partition in partitions],
        when,
    )


async def prune(db: Database, consumer: int, keep: timedelta) -> int:
    """Forgets events that were handled `keep` before the consumer last was up to date.

    Not before now: a consumer that was away for long still needs what it knew when it went.
    Answers how many rows went.
    """
    behind = await db.fetchval(
        "select case when count(*) = count(caught_up_time) then min(caught_up_time) end"
        " from event_positions where consumer = $1",
        consumer,
    )
    pruned = 0
    while behind is not None:
        tag = await db.execute(_PRUNE, consumer, behind - keep)
        pruned += int(tag.split()[1])
        if tag != "DELETE 10000":
            break
    return pruned


async def clear(tx: Tx, consumer: int, event_id: UUID) -> None:
    """Takes an event out of the inbox, so that this consumer can handle it once more."""
    await tx.execute(
        "delete from event_inbox where consumer = $1 and event_id = $2", consumer, event_id
    )


def _place(row: Any) -> Place:
    partition = Partition(row["topic"], row["partition"])
    return Place(partition, row["position"], row["halt"] or "")
