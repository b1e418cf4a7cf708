"""The parts of a publishing and consuming service, for tests: real databases, a real log."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from libs.clock import SystemClock
from libs.db import Database, Tx, migrate
from libs.events import (
    MIGRATIONS,
    BatchHandler,
    Catalog,
    Consumer,
    EventSpec,
    Log,
    Options,
    Outbox,
    Received,
    Relay,
    Timing,
    open_log,
)
from libs.ids import Ids
from pq.accounts.v1.accounts_events_pb2 import AccountChanged

# Quick, so that a death is noticed within the patience of a test.
TIMING = Timing(heartbeat=0.3, expiry=1.5)
OPTIONS = Options(
    backoff_first=0.05, backoff_last=0.5, poll=0.25, watch_every=0.1, survey_every=0.2
)
DEADLINE = 30.0

SCHEMA = """
create table handled (
    n bigint generated always as identity primary key,
    consumer text not null, event_id uuid not null, key text not null, value bigint not null
)
"""


def catalog(name: str, partitions: int = 4) -> Catalog:
    """One topic, of a test's own."""
    return Catalog([EventSpec(f"pq.test.{name}.v1", "account", partitions, AccountChanged)])


def event(key: str, value: int) -> AccountChanged:
    """An event of one key; the value tells where in the key's order it stands."""
    made = AccountChanged(account=f"accounts/{key}")
    made.change_time.seconds = value
    return made


def value_of(received: Received[AccountChanged]) -> int:
    """The value of `event`."""
    return int(received.data.change_time.seconds)


@dataclass
class World:
    """One log, and databases of services on one server."""

    log_url: str
    catalog: Catalog
    databases: Callable[[], Awaitable[str]]
    open: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def topic(self) -> str:
        return self.catalog.specs[0].topic

    def log(self, found: Catalog | None = None) -> Log:
        log = open_log(self.log_url, catalog=found or self.catalog, timing=TIMING)
        self.open.append(log.close)
        return log

    async def service(self, dsn: str | None = None) -> Database:
        """A service's database with outbox, inbox and a table of what was handled."""
        if dsn is None:
            dsn = await self.databases()
            await migrate(dsn, [("events", MIGRATIONS)])
            fresh = await self.connect(dsn)
            await fresh.execute(SCHEMA)
            return fresh
        return await self.connect(dsn)

    async def connect(self, dsn: str) -> Database:
        outbox = Outbox(self.catalog, "/pq/test", Ids(SystemClock()), SystemClock())
        db = await Database.connect(dsn, application="test", outbox=outbox)
        db.dsn = dsn  # type: ignore[attr-defined] # for the tests' own use
        self.open.append(db.close)
        return db

    def run(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self.tasks.append(task)
        return task

    def relay(self, db: Database, log: Log) -> Relay:
        relay = Relay(db, log)
        relay.task = self.run(relay.run())  # type: ignore[attr-defined]
        return relay

    def consumer(
        self,
        db: Database,
        log: Log,
        name: str = "test.one",
        handler: BatchHandler | None = None,
        **changes: Any,
    ) -> Consumer:
        """A consumer that writes down what it handles, and runs."""
        consumer = Consumer(
            name,
            db,
            log,
            {AccountChanged: handler or writing(name)},
            options=changes.pop("options", OPTIONS),
        )
        consumer.task = self.run(consumer.run())  # type: ignore[attr-defined]
        return consumer

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for close in reversed(self.open):
            await close()


def writing(name: str) -> BatchHandler:
    """A handler that writes down what it got, in order."""

    async def handle(tx: Tx, batch: Sequence[Received[AccountChanged]]) -> None:
        rows = [(name, r.record.id, r.record.key, value_of(r)) for r in batch]
        await tx.copy_records("handled", ["consumer", "event_id", "key", "value"], rows)

    return handle


async def publish(db: Database, *events: AccountChanged) -> list[uuid.UUID]:
    """All of them in one transaction."""
    async with db.transaction() as tx:
        return [tx.publish(one) for one in events]


async def handled(db: Database, consumer: str = "test.one") -> Mapping[str, list[int]]:
    """The values by key, in the order of handling."""
    rows = await db.fetch("select key, value from handled where consumer = $1 order by n", consumer)
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row["key"], []).append(row["value"])
    return found


async def count(db: Database, consumer: str = "test.one") -> int:
    found: int = await db.fetchval("select count(*) from handled where consumer = $1", consumer)
    return found


async def until(
    condition: Callable[[], Awaitable[Any]], *, deadline: float = DEADLINE, what: str = ""
) -> Any:
    """Waits until the condition is true; answers what it said."""
    ends = time.monotonic() + deadline
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > ends:
            raise AssertionError(f"not within {deadline} s: {what or condition}")
        await asyncio.sleep(0.02)


async def until_sent(db: Database) -> None:
    """Waits until the outbox is empty: rows go a moment after they were handled."""

    async def empty() -> bool:
        return await db.fetchval("select count(*) from event_outbox") == 0

    await until(empty, what="an empty outbox")


async def until_handled(db: Database, expected: int, consumer: str = "test.one") -> None:
    """Waits until so many events were handled; more than that is a failure."""

    async def enough() -> bool:
        return await count(db, consumer) >= expected

    await until(enough, what=f"{expected} events handled")
    assert await count(db, consumer) == expected


@asynccontextmanager
async def world(
    log_url: str, found: Catalog, databases: Callable[[], Awaitable[str]]
) -> AsyncIterator[World]:
    made = World(log_url, found, databases)
    try:
        yield made
    finally:
        await made.close()
