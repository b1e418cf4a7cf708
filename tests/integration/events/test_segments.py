"""The PostgreSQL log's segments: opened, read across, dropped by age, and not while needed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from libs.db import Database
from libs.events import Outbox, Partition
from libs.events.log import LogUnavailableError, OutOfRangeError, Owner
from libs.events.postgres import PostgresLog
from libs.events.postgres_segments import maintain
from libs.ids import Ids
from libs.testing.clock import FakeClock
from tests.contract.events.world import TIMING, catalog, event

ZERO, LONG = timedelta(0), timedelta(days=1)


class Nobody(Owner):
    """Owns and tells nothing."""

    async def assigned(self, partitions: object) -> None:
        """Nothing to do."""

    async def revoked(self, partitions: object) -> None:
        """Nothing to do."""


@pytest.fixture
async def log(empty_database: str) -> AsyncIterator[PostgresLog]:
    made = PostgresLog(empty_database, catalog("segments", 1), TIMING)
    await made.home.open(())
    # It would now and then have the lock when a test's own comes.
    await made.home.stop_upkeep()
    yield made
    await made.close()


async def fill(log: PostgresLog, ids: Ids, clock: FakeClock, segments: int) -> Partition:
    """Two records in each of so many segments."""
    outbox = Outbox(log.catalog, "/pq/test", ids, clock)
    producer = await log.produce(uuid.uuid4())
    db = await log.home.open(())
    for number in range(segments):
        if number:
            await maintain(db, LONG, age=ZERO)
        await producer.append([outbox.encode(event("k", n)) for n in (2 * number, 2 * number + 1)])
    (partition,) = log.catalog.partitions(log.catalog.specs[0].topic)
    return partition


async def segments(db: Database) -> list[int]:
    return [row["seg"] for row in await db.fetch("select seg from log_segments order by seg")]


async def test_a_reader_goes_through_all_segments(
    log: PostgresLog, ids: Ids, clock: FakeClock
) -> None:
    """In the order of offsets, from anywhere."""
    partition = await fill(log, ids, clock, 3)
    assert await segments(await log.home.open(())) == [1, 2, 3]
    reader = await log.read([partition.topic])
    for start in (0, 3):
        reader.seek(partition, start)
        fetched = (await reader.poll(0))[partition]
        assert [stored.offset for stored in fetched.records] == list(range(start, 6))
    assert await reader.poll(0) == {}


async def test_an_empty_segment_is_not_closed(log: PostgresLog) -> None:
    """An idle log does not grow tables."""
    db = await log.home.open(log.catalog.topics)
    await maintain(db, LONG, age=ZERO)
    assert await segments(db) == [1]


async def test_old_segments_go_unless_a_registered_consumer_needs_them(
    log: PostgresLog, ids: Ids, clock: FakeClock
) -> None:
    """Its hint, not its silence, is what lets them go; or that it is forgotten."""
    partition = await fill(log, ids, clock, 4)
    db = await log.home.open(())
    member = await log.join("slow", [partition.topic], Nobody())
    await maintain(db, ZERO)
    assert await segments(db) == [1, 2, 3, 4]
    await member.commit({partition: 2})
    await maintain(db, ZERO)
    assert await segments(db) == [2, 3, 4]
    assert (await log.ranges([partition.topic]))[partition].begin == 2
    await member.close()
    await maintain(db, ZERO)
    assert await segments(db) == [2, 3, 4]
    await log.forget("slow")
    await maintain(db, ZERO)
    assert await segments(db) == [4]


async def test_a_reader_that_is_behind_what_was_dropped_is_told(
    log: PostgresLog, ids: Ids, clock: FakeClock
) -> None:
    """It does not skip in silence."""
    partition = await fill(log, ids, clock, 2)
    reader = await log.read([partition.topic])
    reader.seek(partition, 1)
    await maintain(await log.home.open(()), ZERO)
    with pytest.raises(OutOfRangeError, match="position 1 is gone; the log begins at 2"):
        await reader.poll(0)


async def test_a_database_that_is_not_there_is_only_away(empty_database: str) -> None:
    """Services start in any order."""
    log = PostgresLog(empty_database + "x", catalog("away", 1), TIMING)
    with pytest.raises(LogUnavailableError):
        await log.ranges(log.catalog.topics)
    await log.close()
