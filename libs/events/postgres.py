"""The event log in PostgreSQL: append-only segments in a database of its own.

Partitions are rows that appenders lock in order, so the offsets of a partition become visible in
order and a reader needs only the next one. Readers are woken by NOTIFY, one per appended batch,
sent after the commit: within it, all appenders of the server would take turns at their fsync.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from libs.db import Database
from libs.events.catalog import Catalog
from libs.events.log import RETENTION, Member, Owner, Range, Reader, Timing
from libs.events.outbox import row
from libs.events.postgres_database import CHANNEL, LogDatabase, unavailable
from libs.events.postgres_group import PostgresMember
from libs.events.postgres_reader import PostgresReader
from libs.events.record import Partition, Record

_APPEND = (
    "select log_append($1, $2, $3::int[], $4::uuid[], $5::text[], $6::text[],"
    " $7::timestamptz[], $8::text[], $9::bytea[], $10::jsonb[])"
)


class PostgresLog:
    """See `libs.events.log.Log`."""

    def __init__(
        self, url: str, catalog: Catalog, timing: Timing, *, retention: timedelta = RETENTION
    ) -> None:
        self.catalog = catalog
        self.home = LogDatabase(url, catalog, timing, retention)

    async def produce(self, source: UUID) -> PostgresProducer:
        """See `Log.produce`. Waits for an append of an older epoch that is under way."""
        topics = self.catalog.topics
        db = await self.home.open(topics)
        async with unavailable():
            epoch = await db.fetchval(
                "insert into log_epochs (source, epoch) values ($1, 1)"
                " on conflict (source) do update set epoch = log_epochs.epoch + 1 returning epoch",
                source,
            )
        return PostgresProducer(db, source, epoch, self.home.parts(topics))

    async def join(self, consumer: str, topics: Collection[str], owner: Owner) -> Member:
        """See `Log.join`."""
        db = await self.home.open(topics)
        member = PostgresMember(self.home, db, consumer, self.home.parts(topics), owner)
        await member.start()
        return member

    async def read(self, topics: Collection[str]) -> Reader:
        """See `Log.read`."""
        db = await self.home.open(topics)
        return PostgresReader(self.home, db, self.home.parts(topics))

    async def ranges(self, topics: Collection[str]) -> Mapping[Partition, Range]:
        """See `Log.ranges`."""
        db = await self.home.open(topics)
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
        db = await self.home.open(())
        async with unavailable(), db.transaction() as tx:
            for table in ("log_claims", "log_members", "log_positions"):
                await tx.execute(f"delete from {table} where consumer = $1", consumer)  # noqa: S608

    async def close(self) -> None:
        """See `Log.close`."""
        await self.home.close()


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
