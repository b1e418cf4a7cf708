"""Events end to end: outbox, relay, log, consumer. Both engines, the server's real durability."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median, quantiles

from libs.clock import SystemClock
from libs.db import Database, Tx, migrate
from libs.events import (
    MIGRATIONS,
    Catalog,
    Consumer,
    EventSpec,
    Outbox,
    Received,
    Relay,
    open_log,
)
from libs.ids import Ids
from libs.local.postgres import EmbeddedPostgres
from pq.accounts.v1.accounts_events_pb2 import AccountChanged
from tests.bench import Row
from tests.kafka.broker import NoBrokerError, jar_broker

EVENTS = 40_000
BATCH = 100
KEYS = 500
SINGLES = 200
PARTITIONS = 16


class Sink:
    """A handler that counts; the transaction around it is the consumer's own."""

    def __init__(self) -> None:
        self.count = 0
        self.last = asyncio.Event()
        self.wanted = 0

    async def __call__(self, tx: Tx, batch: Sequence[Received[AccountChanged]]) -> None:
        def handled() -> None:
            self.count += len(batch)
            if self.count >= self.wanted:
                self.last.set()

        tx.after_commit(handled)

    async def until(self, wanted: int) -> None:
        """Waits until so many were handled and committed."""
        self.wanted = wanted
        self.last.clear()
        if self.count < wanted:
            async with asyncio.timeout(120):
                await self.last.wait()


@asynccontextmanager
async def server() -> AsyncIterator[EmbeddedPostgres]:
    """A server of an engine's own: what one leaves to be vacuumed is not the other's load."""
    with tempfile.TemporaryDirectory() as folder:
        started = EmbeddedPostgres(Path(folder))
        started.start()
        try:
            await started.ready()
            yield started
        finally:
            started.stop()


@asynccontextmanager
async def service(
    server: EmbeddedPostgres, url: str, name: str
) -> AsyncIterator[tuple[Database, Sink]]:
    """Publisher, relay and consumer of one service in this process."""
    spec = EventSpec(f"pq.bench.{name}.v1", "account", PARTITIONS, AccountChanged)
    catalog = Catalog([spec])
    await server.create_databases([name])
    dsn, clock = server.dsn(name), SystemClock()
    await migrate(dsn, [("events", MIGRATIONS)])
    db = await Database.connect(
        dsn, application="bench", outbox=Outbox(catalog, "/pq/bench", Ids(clock), clock)
    )
    log, sink = open_log(url, catalog=catalog), Sink()
    consumer = Consumer(f"bench.{name}", db, log, {AccountChanged: sink})
    tasks = [asyncio.create_task(Relay(db, log).run()), asyncio.create_task(consumer.run())]
    try:
        yield db, sink
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await log.close()
        await db.close()


async def publish(db: Database, events: Sequence[AccountChanged]) -> None:
    """All of them in one transaction."""
    async with db.transaction() as tx:
        for event in events:
            tx.publish(event)


async def throughput(db: Database, sink: Sink, count: int) -> float:
    """Events per second from the first publish to the last commit of the handler's transaction."""
    events = [AccountChanged(account=f"accounts/{n % KEYS:026d}") for n in range(BATCH)]
    for number, event in enumerate(events):
        event.account = f"accounts/{number * 7919 % KEYS:026d}"
    began, before = time.monotonic(), sink.count
    for _ in range(count // BATCH):
        await publish(db, events)
    await sink.until(before + count)
    return count / (time.monotonic() - began)


async def latencies(db: Database, sink: Sink, count: int) -> list[float]:
    """Milliseconds from commit to handled and committed, one event at a time."""
    taken = []
    for number in range(count):
        began = 0.0

        def committed() -> None:
            nonlocal began
            began = time.monotonic()

        async with db.transaction() as tx:
            tx.publish(AccountChanged(account=f"accounts/{number % KEYS}"))
            tx.after_commit(committed)
        await sink.until(sink.count + 1 if sink.count <= number else number + 1)
        taken.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(0.01)
    return taken


async def engine(server: EmbeddedPostgres, url: str, name: str, scale: int) -> list[Row]:
    """One engine's rows."""
    async with service(server, url, f"{name}_{scale}_{os.getpid()}") as (db, sink):
        await publish(db, [AccountChanged(account="accounts/warm")])
        await sink.until(1)
        sink.count = 0
        # A broker that has just started still compiles, on the cores that are measured.
        await throughput(db, sink, EVENTS)
        rate = await throughput(db, sink, EVENTS * scale)
        sink.count = 0
        taken = await latencies(db, sink, SINGLES)
    note = f"batches of {BATCH}, one process; after {EVENTS:,} to warm up"
    return [
        Row(f"events.{name}.throughput", scale, rate, "events/s", 10_000, note=note),
        Row(f"events.{name}.single.p50", scale, median(taken), "ms", 10, at_least=False),
        Row(f"events.{name}.single.p99", scale, quantiles(taken, n=100)[98], "ms"),
    ]


async def run(scale: int) -> list[Row]:
    """Both engines; Kafka only where a broker can be started."""
    rows = []
    async with server() as started:
        await started.create_databases(["log"])
        rows += await engine(started, started.dsn("log"), "postgres", scale)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            broker = stack.enter_context(jar_broker(folder / "kafka"))
        except NoBrokerError as error:
            note = f"not measured: {error}"[:120]
            return [*rows, Row("events.kafka.throughput", scale, 0, "events/s", note=note)]
        started = await stack.enter_async_context(server())
        rows += await engine(started, f"kafka://{broker.address}", "kafka", scale)
    return rows
