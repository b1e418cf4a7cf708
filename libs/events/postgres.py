"""The event log in PostgreSQL: append-only segments in a database of its own.

Partitions are rows that appenders lock in order, so the offsets of a partition become visible in
order and a reader needs only the next one. Readers are woken by NOTIFY, one per appended batch,
sent after the commit: within it, all appenders of the server would take turns at their fsync.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from uuid import UUID

import asyncpg

from libs.db import Database, is_transient, migrate
from libs.events import postgres_segments
from libs.events.catalog import Catalog
from libs.events.log import (
    RETENTION,
    FencedError,
    Fetched,
    LogUnavailableError,
    Member,
    OutOfRangeError,
    Owner,
    PartitionCountError,
    Range,
    Reader,
    Timing,
)
from libs.events.outbox import record_of, row
from libs.events.record import Partition, Record, Stored

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).with_name("postgres_migrations")
CHANNEL = "pq_log"
GROUP_CHANNEL = "pq_log_group"

# A poll reads at most this much of each partition.
FETCH_RECORDS = 500
FETCH_BYTES = 1_048_576

# Seconds between reads while nothing wakes us: that is for when a NOTIFY was lost.
IDLE = 1.0
IDLE_DEAF = 0.1
MAINTAIN = 60.0

_APPEND = (
    "select log_append($1, $2, $3::int[], $4::uuid[], $5::text[], $6::text[],"
    " $7::timestamptz[], $8::text[], $9::bytea[], $10::jsonb[])"
)
_READ = """
select p.part, r.*
from unnest($1::int[], $2::bigint[], $3::int[]) as p(part, start, seg)
cross join lateral (
    select * from (
        select i."offset", i.seg, event_id, key, type, time, source, payload, headers,
            sum(octet_length(payload)) over (order by i."offset") - octet_length(payload) as before
        from (
            select * from log_records l
            where l.part = p.part and l."offset" >= p.start and l.seg >= p.seg
            order by l."offset" limit $4
        ) i
    ) b where before < $5
) r
"""


class PostgresLog:
    """See `libs.events.log.Log`."""

    def __init__(
        self, url: str, catalog: Catalog, timing: Timing, *, retention: timedelta = RETENTION
    ) -> None:
        self.catalog = catalog
        self.timing = timing
        self.retention = retention
        self._url = url
        self._db: Database | None = None
        self._opening = asyncio.Lock()
        self._parts: dict[Partition, int] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {CHANNEL: set(), GROUP_CHANNEL: set()}
        self._task: asyncio.Task[None] | None = None
        # Whether NOTIFY reaches us.
        self.hears = False
        # No append that starts now, or is under way, goes to a segment before this one.
        self.settled_segment = 0

    async def produce(self, source: UUID) -> PostgresProducer:
        """See `Log.produce`. Waits for an append of an older epoch that is under way."""
        db = await self.database(self.catalog.topics)
        async with unavailable():
            epoch = await db.fetchval(
                "insert into log_epochs (source, epoch) values ($1, 1)"
                " on conflict (source) do update set epoch = log_epochs.epoch + 1 returning epoch",
                source,
            )
        return PostgresProducer(db, source, epoch, self._parts)

    async def join(self, consumer: str, topics: Collection[str], owner: Owner) -> Member:
        """See `Log.join`."""
        from libs.events.postgres_group import PostgresMember

        db = await self.database(topics)
        parts = {partition: self._parts[partition] for partition in self._partitions(topics)}
        member = PostgresMember(self, db, consumer, parts, owner)
        await member.start()
        return member

    async def read(self, topics: Collection[str]) -> Reader:
        """See `Log.read`."""
        db = await self.database(topics)
        parts = {partition: self._parts[partition] for partition in self._partitions(topics)}
        return PostgresReader(self, db, parts)

    async def ranges(self, topics: Collection[str]) -> Mapping[Partition, Range]:
        """See `Log.ranges`."""
        db = await self.database(topics)
        async with unavailable():
            rows = await db.fetch(
                "select topic, partition, first, next from log_parts where topic = any ($1)",
                list(topics),
            )
        return {
            Partition(found["topic"], found["partition"]): Range(found["first"], found["next"])
            for found in rows
        }

    async def forget(self, consumer: str) -> None:
        """Takes a consumer that will not come back off the register; it holds no segment then."""
        db = await self.database(())
        async with unavailable(), db.transaction() as tx:
            for table in ("log_claims", "log_members", "log_positions"):
                await tx.execute(f"delete from {table} where consumer = $1", consumer)  # noqa: S608

    async def close(self) -> None:
        """See `Log.close`."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._db is not None:
            await self._db.close()

    async def database(self, topics: Collection[str]) -> Database:
        """The database, migrated, with these topics in it. Raises LogUnavailableError."""
        async with self._opening, unavailable():
            if self._db is None:
                await migrate(self._url, [("log", MIGRATIONS)])
                self._db = await Database.connect(self._url, application="pq log", max_size=8)
                self._task = asyncio.create_task(self._attend(self._db))
            missing = [
                topic for topic in topics if self.catalog.partitions(topic)[0] not in self._parts
            ]
            if missing:
                await self._register(self._db, missing)
            return self._db

    def listen(self, channel: str, event: asyncio.Event) -> None:
        """Has `event` set by each NOTIFY on the channel."""
        self._listeners[channel].add(event)

    def unlisten(self, channel: str, event: asyncio.Event) -> None:
        """The inverse of `listen`."""
        self._listeners[channel].discard(event)

    def _partitions(self, topics: Collection[str]) -> list[Partition]:
        return [p for topic in sorted(topics) for p in self.catalog.partitions(topic)]

    async def _register(self, db: Database, topics: Sequence[str]) -> None:
        counts = [self.catalog.topics[topic] for topic in topics]
        async with db.transaction() as tx:
            await tx.execute(
                "insert into log_topics (topic, partitions)"
                " select * from unnest($1::text[], $2::int[]) order by 1 on conflict do nothing",
                topics,
                counts,
            )
            await tx.execute(
                "insert into log_parts (topic, partition) select topic, generate_series(0, n - 1)"
                " from unnest($1::text[], $2::int[]) as t(topic, n) order by 1, 2"
                " on conflict do nothing",
                topics,
                counts,
            )
            rows = await tx.fetch(
                "select topic, partitions from log_topics where topic = any ($1)", topics
            )
            for found in rows:
                _check_count(self.catalog, found["topic"], found["partitions"])
            rows = await tx.fetch(
                "select part, topic, partition from log_parts where topic = any ($1)", topics
            )
        self._parts |= {Partition(r["topic"], r["partition"]): r["part"] for r in rows}

    async def _attend(self, db: Database) -> None:
        """Listens, and opens and drops segments, for as long as the log is open."""
        while True:
            connection = None
            try:
                connection = await db.dedicated()
                for channel in self._listeners:
                    await connection.add_listener(channel, self._notified)
                self.hears = True
                self._notified(None, 0, CHANNEL, "")
                while True:
                    self.settled_segment = await postgres_segments.maintain(db, self.retention)
                    for _ in range(int(MAINTAIN / 10)):
                        await asyncio.sleep(10)
                        await connection.execute("select 1")
            except Exception as error:
                if not is_transient(error):
                    log.exception("the log's upkeep failed; it starts over")
            finally:
                self.hears = False
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(1)

    def _notified(self, _connection: object, _pid: int, channel: str, _payload: object) -> None:
        for event in self._listeners[channel]:
            event.set()


class PostgresProducer:
    """See `libs.events.log.Producer`."""

    def __init__(
        self, db: Database, source: UUID, epoch: int, parts: Mapping[Partition, int]
    ) -> None:
        self._db = db
        self._source = source
        self._epoch = epoch
        self._parts = parts

    async def append(self, records: Sequence[Record]) -> None:
        """See `Producer.append`."""
        parts = [self._parts[Partition(record.topic, record.partition)] for record in records]
        ids, _, _, *rest = zip(*map(row, records), strict=True)
        async with unavailable(), self._db.acquire() as connection:
            await connection.execute(_APPEND, self._source, self._epoch, parts, ids, *rest)
            await connection.execute(f"select pg_notify('{CHANNEL}', '')")

    async def close(self) -> None:
        """See `Producer.close`."""


class PostgresReader:
    """See `libs.events.log.Reader`."""

    def __init__(self, owner: PostgresLog, db: Database, parts: Mapping[Partition, int]) -> None:
        self._log = owner
        self._db = db
        self._parts = parts
        self._by_part = {part: partition for partition, part in parts.items()}
        self._next: dict[Partition, int] = {}
        # The lowest segment that can have a partition's next record: reads touch no older ones.
        self._segment: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._contact = float("-inf")
        self._woken = asyncio.Event()
        self._interrupted = False
        owner.listen(CHANNEL, self._woken)

    async def poll(self, timeout: float) -> Mapping[Partition, Fetched]:
        """See `Reader.poll`."""
        deadline = time.monotonic() + timeout
        while True:
            self._woken.clear()
            found = await self._fetch()
            left = deadline - time.monotonic()
            if found or left <= 0 or self._interrupted:
                self._interrupted = False
                return found
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, IDLE if self._log.hears else IDLE_DEAF)):
                    await self._woken.wait()

    def seek(self, partition: Partition, offset: int) -> None:
        """See `Reader.seek`."""
        self._next[partition] = offset
        self._segment[partition] = 0

    def pause(self, partition: Partition) -> None:
        """See `Reader.pause`."""
        self._paused.add(partition)

    def resume(self, partition: Partition) -> None:
        """See `Reader.resume`."""
        self._paused.discard(partition)

    def contact(self) -> float:
        """See `Reader.contact`."""
        return self._contact

    async def close(self) -> None:
        """See `Reader.close`."""
        self._log.unlisten(CHANNEL, self._woken)

    def interrupt(self) -> None:
        """Has a poll that waits return."""
        self._interrupted = True
        self._woken.set()

    def drop(self, partition: Partition) -> None:
        """No longer ours to read."""
        self._next.pop(partition, None)
        self._paused.discard(partition)

    async def _fetch(self) -> dict[Partition, Fetched]:
        began, settled = time.monotonic(), self._log.settled_segment
        active = [p for p in self._next if p not in self._paused]
        if not active:
            return {}
        asked = {partition: self._next[partition] for partition in active}
        async with unavailable():
            rows = await self._db.fetch(
                _READ,
                [self._parts[p] for p in active],
                list(asked.values()),
                [self._segment[p] for p in active],
                FETCH_RECORDS,
                FETCH_BYTES,
            )
        grouped = {self._by_part[part]: list(group) for part, group in groupby(rows, key=_part_of)}
        # What was moved or given away while we read is not for us.
        grouped = {p: group for p, group in grouped.items() if self._next.get(p) == asked[p]}
        for partition, group in grouped.items():
            _check_start(partition, asked[partition], group[0]["offset"])
        for partition in active:
            if partition in self._segment and partition not in grouped:
                self._segment[partition] = max(self._segment[partition], settled)
        if len(rows) < FETCH_RECORDS:
            self._contact = began
        return {partition: self._take(partition, group) for partition, group in grouped.items()}

    def _take(self, partition: Partition, rows: Sequence[asyncpg.Record]) -> Fetched:
        records = [
            Stored(found["offset"], record_of(found, partition.topic, partition.number))
            for found in rows
        ]
        self._next[partition] = records[-1].offset + 1
        self._segment[partition] = rows[-1]["seg"]
        return Fetched(records, self._next[partition])


@asynccontextmanager
async def unavailable() -> AsyncIterator[None]:
    """Puts the server's failures in the log's words."""
    try:
        yield
    except asyncpg.InvalidCatalogNameError as error:
        raise LogUnavailableError(str(error)) from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == "PQ001":
            raise FencedError(str(error)) from error
        if is_transient(error):
            raise LogUnavailableError(f"{type(error).__name__}: {error}") from error
        raise
    except Exception as error:
        if is_transient(error):
            raise LogUnavailableError(f"{type(error).__name__}: {error}") from error
        raise


def _part_of(found: asyncpg.Record) -> int:
    part: int = found["part"]
    return part


def _check_start(partition: Partition, expected: int, first: int) -> None:
    """Offsets have no gaps in this log: what is missing was dropped with its segment."""
    if first != expected:
        raise OutOfRangeError(partition, expected, f"is gone; the log begins at {first}")


def _check_count(catalog: Catalog, topic: str, partitions: int) -> None:
    if partitions != catalog.topics[topic]:
        raise PartitionCountError(
            f"{topic} has {partitions} partitions in the log, {catalog.topics[topic]} by contract"
        )
