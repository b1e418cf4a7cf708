"""The database of the PostgreSQL log: its topics, its upkeep, and who is woken by NOTIFY."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import asyncpg

from libs.db import Database, is_transient, migrate
from libs.events import postgres_segments
from libs.events.catalog import Catalog
from libs.events.log import FencedError, LogUnavailableError, PartitionCountError, Timing
from libs.events.record import Partition

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).with_name("postgres_migrations")
CHANNEL = "pq_log"
GROUP_CHANNEL = "pq_log_group"
# Seconds between looks at the segments.
MAINTAIN = 60.0


class LogDatabase:
    """Opened when first asked for. `hears` says whether NOTIFY reaches us."""

    def __init__(self, url: str, catalog: Catalog, timing: Timing, retention: timedelta) -> None:
        self.timing = timing
        self._url = url
        self._catalog = catalog
        self._retention = retention
        self._db: Database | None = None
        self._opening = asyncio.Lock()
        self._parts: dict[Partition, int] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {CHANNEL: set(), GROUP_CHANNEL: set()}
        self._task: asyncio.Task[None] | None = None
        self.hears = False
        # No append that starts now, or is under way, goes to a segment before this one.
        self.settled_segment = 0

    async def open(self, topics: Collection[str]) -> Database:
        """The database, migrated, with these topics in it. Raises LogUnavailableError."""
        async with self._opening, unavailable():
            if self._db is None:
                await migrate(self._url, [("log", MIGRATIONS)])
                self._db = await Database.connect(self._url, application="pq log", max_size=8)
                self._task = asyncio.create_task(self._attend(self._db))
            missing = [
                topic for topic in topics if self._catalog.partitions(topic)[0] not in self._parts
            ]
            if missing:
                await self._register(self._db, missing)
            return self._db

    def parts(self, topics: Collection[str]) -> Mapping[Partition, int]:
        """The database's numbers of the partitions of these topics, which were opened."""
        found = [p for topic in sorted(topics) for p in self._catalog.partitions(topic)]
        return {partition: self._parts[partition] for partition in found}

    def listen(self, channel: str, event: asyncio.Event) -> None:
        """Has `event` set by each NOTIFY on the channel."""
        self._listeners[channel].add(event)

    def unlisten(self, channel: str, event: asyncio.Event) -> None:
        """The inverse of `listen`."""
        self._listeners[channel].discard(event)

    async def stop_upkeep(self) -> None:
        """Neither listens nor looks at the segments any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def close(self) -> None:
        """Lets go of it."""
        await self.stop_upkeep()
        if self._db is not None:
            await self._db.close()

    async def _register(self, db: Database, topics: Sequence[str]) -> None:
        counts = [self._catalog.topics[topic] for topic in topics]
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
                _check_count(self._catalog, found["topic"], found["partitions"])
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
                    self.settled_segment = await postgres_segments.maintain(db, self._retention)
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


def _check_count(catalog: Catalog, topic: str, partitions: int) -> None:
    if partitions != catalog.topics[topic]:
        raise PartitionCountError(
            f"{topic} has {partitions} partitions in the log, {catalog.topics[topic]} by contract"
        )
