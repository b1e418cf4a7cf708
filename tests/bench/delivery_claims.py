"""Claims among a million deliveries that wait, or are due and held; and what they cost when idle.

The database is durable and real; the claims run in this process, without HTTP.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import psutil

from libs.api import idempotency
from libs.clock import SystemClock
from libs.db import Database, migrate
from libs.events import outbox
from libs.ids import Ids
from libs.local.postgres import EmbeddedPostgres
from services.delivery.app import MIGRATIONS
from services.delivery.sending.gate import Gate
from services.delivery.sending.health import HealthPolicy
from services.delivery.store import lanes, leases, workers
from services.delivery.store.leases import Lease
from services.delivery.store.vault import Vault
from tests.bench import Row
from tests.bench.delivery import service_environment

HELD = int(os.environ.get("PQ_BENCH_HELD", "1000000"))
OTHERS = 1000
CLAIMS = 100
EACH = 100
IDLE_SECONDS = 10.0
KEY = bytes(32)

_ENDPOINTS = """
with made as (
    insert into endpoints (id, account, url, description, event_types, state, state_reason,
        revision, create_time, update_time)
    select gen_random_uuid(), gen_random_uuid(), 'http://127.0.0.1:1/', '', '{}', 1, '', 1,
        now(), now()
    from generate_series(1, $1) returning id
), lane as (insert into lanes (endpoint, open) select id, true from made)
select id from made
"""
_DELIVERIES = """
with made as (
    insert into messages (id, account, event_type, payload, create_time, trace_parent)
    select gen_random_uuid(), gen_random_uuid(), 'alert.triggered', convert_to(repeat('x', 460),
        'utf8'), now(), ''
    from generate_series(1, $2) returning id
), numbered as (select id, row_number() over () as number from made)
insert into deliveries (message, endpoint, state, attempt_count, due, reason)
select id, ($1::uuid[])[1 + number % cardinality($1::uuid[])], 1, 1,
    now() + make_interval(secs => $3 + number % 3600), '' from numbered
"""


@dataclass
class Claims:
    """What claims need, and the endpoints: one that is well, and those that are in the way."""

    db: Database
    vault: Vault
    worker: UUID
    ids: Ids
    well: UUID
    others: list[UUID]
    low: datetime = lanes.EVER

    async def one(self) -> tuple[float, int]:
        """Seconds that a claim takes, and how many it took."""
        gate, lease = Gate(HealthPolicy()), Lease(self.worker, self.ids.uuid())
        begun = time.perf_counter()
        async with self.db.transaction() as tx:
            ripe = await lanes.lock_ripe(tx, [], 100, self.low)
            admission = await gate.admit(tx, dict.fromkeys(ripe, EACH))
            leased = await leases.claim(tx, self.vault, lease, admission.rooms, admission.probing)
            await gate.taken(tx, admission, leased)
        return time.perf_counter() - begun, len(leased)

    async def times(self) -> tuple[float, float]:
        """Of a hundred claims, each of a hundred, the slowest but one and the median, in ms."""
        async with self.db.transaction() as tx:
            await tx.execute(
                "update deliveries set worker = null, lease = null, due = now()"
                " where endpoint = $1",
                self.well,
            )
            await tx.execute(
                "update lanes set due = now(), low_due = now() where endpoint = $1", self.well
            )
        self.low = await lanes.low_water(self.db)
        taken = []
        for _ in range(CLAIMS):
            seconds, count = await self.one()
            if count != EACH:
                raise RuntimeError(f"a claim took {count}")
            taken.append(seconds)
        taken.sort()
        return taken[int(CLAIMS * 0.99) - 1] * 1e3, taken[CLAIMS // 2] * 1e3


async def run(scale: int) -> list[Row]:
    """The family's rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = EmbeddedPostgres(folder / "postgres")
        server.start()
        try:
            await server.ready()
            await server.create_databases(["delivery", "log"])
            async with _filled(server.dsn("delivery"), HELD * scale) as claims:
                rows = await _measure(claims, server.dsn("delivery"), scale)
            return [*rows, await _idle(folder, server, scale)]
        finally:
            server.stop()


async def _measure(claims: Claims, dsn: str, scale: int) -> list[Row]:
    held = f"{HELD * scale:,}"
    rows = [_row("waiting", await claims.times(), scale, f"{held} wait for their next attempt")]
    await claims.db.execute("update deliveries set due = now() - interval '1 hour'")
    await claims.db.execute(
        "update lanes set open = endpoint = $1, due = now() - interval '1 hour'", claims.well
    )
    await claims.db.execute("vacuum analyze deliveries")
    rows.append(_row("paused", await claims.times(), scale, f"{held} due, their endpoints paused"))
    await claims.db.execute(
        "update lanes set open = true, hold_until = now() + interval '1 day',"
        " hold_reason = 'breaker_open', due = now() + interval '1 day' where endpoint <> $1",
        claims.well,
    )
    rows.append(_row("broken", await claims.times(), scale, f"{held} due, breakers open"))
    snapshot = await asyncpg.connect(dsn)
    try:
        async with snapshot.transaction(isolation="repeatable_read", readonly=True):
            await snapshot.fetchval("select count(*) from lanes")
            for _ in range(3):  # what was taken and given back leaves dead rows that nobody removes
                await claims.times()
            told = f"{held} due and held, under a snapshot that is kept"
            rows.append(_row("snapshot", await claims.times(), scale, told))
    finally:
        await snapshot.close()
    return rows


def _row(name: str, times: tuple[float, float], scale: int, note: str) -> Row:
    full, (value, median) = f"delivery.claims_{name}_p99", times
    note = f"of 100 each, p50 {median:.1f} ms; {note}"
    return Row(full, scale, value, "ms", 10, at_least=False, note=note)


@asynccontextmanager
async def _filled(dsn: str, held: int) -> AsyncIterator[Claims]:
    """A database with so many deliveries that wait, and enough that are due at one endpoint."""
    clock = SystemClock()
    ids, vault = Ids(clock), Vault({"k1": KEY}, "k1")
    await migrate(
        dsn,
        [
            ("events", Path(outbox.__file__).with_name("migrations")),
            ("api", idempotency.MIGRATIONS),
            ("delivery", MIGRATIONS),
        ],
    )
    db = await Database.connect(dsn, application="bench")
    try:
        [well] = [row["id"] for row in await db.fetch(_ENDPOINTS, 1)]
        others = [row["id"] for row in await db.fetch(_ENDPOINTS, OTHERS)]
        await db.execute(
            "insert into endpoint_secrets (endpoint, version, key_id, sealed)"
            " values ($1, 1, 'k1', $2)",
            well,
            vault.seal(well, KEY),
        )
        for at in range(0, held, 100_000):
            await db.execute(_DELIVERIES, others, min(100_000, held - at), 3600.0)
        await db.execute(_DELIVERIES, [well], CLAIMS * EACH, -7200.0)
        await db.execute("update lanes set due = now() + interval '1 hour'")
        await db.execute("vacuum analyze messages")
        await db.execute("vacuum analyze deliveries")
        await db.execute("checkpoint")  # what the filling left to write is not the claims'
        worker = ids.uuid()
        await workers.register(db, worker, "bench")
        yield Claims(db, vault, worker, ids, well, others)
    finally:
        await db.close()


async def _idle(folder: Path, server: EmbeddedPostgres, scale: int) -> Row:
    """CPU of the service and of its database, while all that is there is held."""
    admin = await asyncpg.connect(server.dsn("delivery"))
    await admin.execute("delete from workers")
    await admin.execute(
        "update deliveries set state = 2, worker = null, lease = null, settle_time = now()"
        " where worker is not null"
    )
    await admin.close()
    with subprocess.Popen(  # noqa: ASYNC220 # nothing else runs yet
        [sys.executable, "-m", "services.delivery"],
        env=service_environment(folder, server),
        stderr=(folder / "delivery.log").open("w"),
    ) as process:
        try:
            await asyncio.sleep(IDLE_SECONDS / 2)  # it starts
            before, begun = _cpu(server, process.pid), time.perf_counter()
            await asyncio.sleep(IDLE_SECONDS)
            share = (_cpu(server, process.pid) - before) / (time.perf_counter() - begun) * 100
        finally:
            process.terminate()
            process.wait(30)
    note = f"of one core, service and database, {HELD * scale:,} due and held"
    return Row("delivery.idle_cpu", scale, share, "%", 2, at_least=False, note=note)


def _cpu(server: EmbeddedPostgres, pid: int) -> float:
    family = [psutil.Process(pid), *psutil.Process(server.pid).children(recursive=True)]
    return sum(one.cpu_times().user + one.cpu_times().system for one in family)
