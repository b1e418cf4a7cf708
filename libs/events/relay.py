"""From the outbox to the log: one relay a database, in id order, under a fencing epoch.

Rows are deleted once they are in the log, so a row that is there is unsent. A relay that dies
between the two sends again what it had sent; the consumers' inbox takes the repeats.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg

from libs.db import Database, is_transient
from libs.db.transaction import Connection
from libs.events.log import Log, LogError, LogUnavailableError, Producer
from libs.events.outbox import LOCK_CLASS, Outbox, record_of
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
# Publishers hold their key locks from before they take ids until they end.
_OLDEST_PUBLISHER = """
select clock_timestamp() as now, min(coalesce(a.xact_start, 'epoch')) as oldest
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.classid = $1::int::oid and l.objsubid = 2
    and l.database = (select oid from pg_database where datname = current_database())
"""
_WAITING = """
select count(*) as waiting, min(time) as oldest
from (select time from event_outbox order by id limit 100000) o
"""


class LowWater:
    """From which id on unsent rows are looked for, so that a poll does not wade through dead rows.

    A row's id can become visible after higher ones were sent, when its transaction is slow. So the
    mark only passes ids that were sent before the oldest open publisher's transaction began: what
    that one may still bring is higher. Were the mark further on, a key's later event could be sent
    before its earlier one is found.
    """

    def __init__(self) -> None:
        self.mark = 0
        self._highest = 0
        self._seen: deque[tuple[datetime, int]] = deque()

    def sent(self, highest: int) -> None:
        """Rows up to this id were sent, with gaps maybe."""
        self._highest = max(self._highest, highest)

    @property
    def behind(self) -> bool:
        """Whether the mark could move."""
        return self.mark < self._highest

    def advance(self, now: datetime, oldest: datetime | None) -> None:
        """At `now`, the oldest open publisher began at `oldest`; None where there is none."""
        if oldest is None:
            self.mark = self._highest
            self._seen.clear()
            return
        self._seen.append((now, self._highest))
        while self._seen and self._seen[0][0] < oldest:
            self.mark = self._seen.popleft()[1]


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How an outbox stands. `waiting` is counted up to 100,000."""

    waiting: int
    oldest_time: datetime | None
    relaying: bool
    error: str


async def oldest_publisher(connection: Connection) -> tuple[datetime, datetime | None]:
    """Now, and when the oldest transaction that holds a key's lock began; None where none does.

    One whose beginning is not shown (it ends this moment) began in 1970: the mark waits for it.
    """
    found = await connection.fetchrow(_OLDEST_PUBLISHER, LOCK_CLASS)
    assert found is not None
    return found["now"], found["oldest"]


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
        low, pause = LowWater(), _POLL_FIRST
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
                continue
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
