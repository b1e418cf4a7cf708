"""From the outbox to the log: one relay a database, in id order, under a fencing epoch.

Rows are deleted once they are in the log, so a row that is there is unsent. A relay that dies
between the two sends again what it had sent; the consumers' inbox takes the repeats.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg

from libs.db import Database, is_transient
from libs.events.log import Log, LogError, LogUnavailableError, Producer
from libs.events.low_water import LowWater, oldest_publisher
from libs.events.outbox import Outbox, record_of
from libs.obs import metrics

log = logging.getLogger(__name__)

BATCH = 1_000
BATCH_BYTES = 8 * 1_048_576

# The low-water mark is moved so often; everything is looked at so often all the same, in seconds.
MARK_EVERY = 1.0
FULL_SCAN = 30.0
# A log may forget an epoch that is never renewed (Kafka after seven days), and fence no longer.
EPOCH = 12 * 3600.0

# Idle polling, in seconds. Commits elsewhere reach us by NOTIFY; this is for when that fails.
_POLL_FIRST, _POLL_LAST = 0.01, 0.25
# Between two batches, while they follow each other: more at a time cost less each, in the log and
# in the consumers. What comes alone is sent at once.
_GATHER = 0.003
_STANDBY = 1.0
_BACKOFF_FIRST, _BACKOFF_LAST = 0.1, 5.0

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_LOCK = 0x7071_726C
_CHANNEL = "pq_outbox"

_UNSENT = """
select * from (
    select o.*, sum(octet_length(payload)) over (order by id) - octet_length(payload) as before
    from (select * from event_outbox where id >= $1 order by id limit $2) o
) q where before < $3
"""
_SENT = "delete from event_outbox where id = any ($1::bigint[])"
_SNAPSHOT_AGE = """
select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)::float8
from pg_stat_activity where backend_xmin is not null and pid <> pg_backend_pid()
"""
_WAITING = """
select count(*) as waiting, min(time) as oldest
from (select time from event_outbox order by id limit 100000) o
"""


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How an outbox stands. `waiting` is counted up to 100,000."""

    waiting: int
    oldest_time: datetime | None
    relaying: bool
    error: str


class Relay:
    """Sends what transactions of `db` published. `run` it in each replica: one holds the lock."""

    def __init__(self, db: Database, log: Log) -> None:
        if not isinstance(db.outbox, Outbox):
            raise TypeError("this database has no outbox")
        self._db = db
        self._outbox = db.outbox
        self._log = log
        self._woken = asyncio.Event()
        self.relaying = False
        self.error = ""

    async def run(self) -> None:
        """Relays until cancelled; every failure is told, waited out and started over from."""
        backoff = _BACKOFF_FIRST
        self._outbox.on_wake(self._woken.set)
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._lead()
                except Exception as error:  # noqa: BLE001 # the relay must outlive any fault
                    self._failed(error)
                if time.monotonic() - began > 60:
                    backoff = _BACKOFF_FIRST
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _BACKOFF_LAST)
        finally:
            self._outbox.off_wake(self._woken.set)

    async def _lead(self) -> None:
        """Takes the lock on a connection of its own, which also reads and deletes.

        When that connection breaks, the lock is gone and so is every statement of ours with it.
        """
        connection = await self._db.dedicated()
        try:
            # A delete that a crash undoes is sent again, and a repeat is harmless.
            await connection.execute("set synchronous_commit = off")
            await self._acquire(connection)
            await connection.add_listener(_CHANNEL, lambda *_: self._woken.set())
            source = await connection.fetchval("select id from event_source")
            self.relaying = True
            await self._relay(connection, source)
        finally:
            self.relaying = False
            connection.terminate()

    async def _acquire(self, connection: Session) -> None:
        """Waits for the lock by trying: a statement that waits would hold a snapshot.

        Commits of this process are passed on to the replica that has the lock.
        """
        while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
            self.error = ""
            try:
                async with asyncio.timeout(_STANDBY):
                    await self._woken.wait()
            except TimeoutError:
                continue
            self._woken.clear()
            await connection.execute(f"select pg_notify('{_CHANNEL}', '')")

    async def _relay(self, connection: Session, source: UUID) -> None:
        """Opens a producer and sends; after any trouble with the log, another, from the start."""
        backoff = _BACKOFF_FIRST
        while True:
            began = time.monotonic()
            producer: Producer | None = None
            try:
                producer = await self._log.produce(source)
                self.error = ""
                await self._pump(connection, producer)
                continue
            except LogUnavailableError as error:
                self._failed(error)
            finally:
                if producer is not None:
                    await producer.close()
            if time.monotonic() - began > _BACKOFF_LAST:
                backoff = _BACKOFF_FIRST
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _BACKOFF_LAST)
            # Tells whether the lock is still ours.
            await connection.execute("select 1")

    async def _pump(self, connection: Session, producer: Producer) -> None:
        """Sends until the epoch is old."""
        low, pause, busy = LowWater(), _POLL_FIRST, False
        now = mark_at = scan_at = time.monotonic()
        ends = now + EPOCH
        while now < ends:
            self._woken.clear()
            now, start = time.monotonic(), low.mark
            if now >= scan_at:
                scan_at, start = now + FULL_SCAN, 0
                await self._measure(connection)
            sent = await self.send(connection, producer, start)
            low.sent(sent)
            if low.behind and now >= mark_at:
                mark_at = now + MARK_EVERY
                low.advance(*await oldest_publisher(connection))
            if sent:
                pause = _POLL_FIRST
                if busy:
                    await asyncio.sleep(_GATHER)
                busy = True
                continue
            busy = False
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
                pause = _POLL_FIRST
            except TimeoutError:
                pause = min(pause * 2, _POLL_LAST)

    async def send(self, connection: Session, producer: Producer, start: int) -> int:
        """One batch from this id on: read, append, delete. Answers its last id; 0 for none."""
        rows = await connection.fetch(_UNSENT, start, BATCH, BATCH_BYTES)
        if not rows:
            return 0
        await producer.append([record_of(row, row["topic"], row["partition"]) for row in rows])
        await connection.execute(_SENT, [row["id"] for row in rows])
        for topic, count in Counter(row["topic"] for row in rows).items():
            metrics.MESSAGES_SENT.labels(topic).inc(count)
        last: int = rows[-1]["id"]
        return last

    async def status(self) -> OutboxStatus:
        """How the outbox stands, and whether this process relays it."""
        row = await self._db.fetchrow(_WAITING)
        assert row is not None
        return OutboxStatus(row["waiting"], row["oldest"], self.relaying, self.error)

    async def _measure(self, connection: Session) -> None:
        row = await connection.fetchrow(_WAITING)
        assert row is not None
        metrics.OUTBOX_WAITING.set(row["waiting"])
        age = (time.time() - row["oldest"].timestamp()) if row["oldest"] else 0
        metrics.OUTBOX_AGE.set(max(0, age))
        metrics.OUTBOX_SNAPSHOT_AGE.set(await connection.fetchval(_SNAPSHOT_AGE))

    def _failed(self, error: BaseException) -> None:
        self.error = f"{type(error).__name__}: {error}"
        metrics.RELAY_ERRORS.inc()
        expected = is_transient(error) or isinstance(error, LogError)
        log.warning(
            "relay failed; it starts over",
            exc_info=None if expected else error,
            extra={"error": self.error},
        )
