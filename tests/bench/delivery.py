"""Delivery: events in the log become signed POSTs and recorded outcomes, by the real service.

The service, its PostgreSQL (durable), the sink and this process share the machine.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import psutil
from pyreqwest.client import ClientBuilder

from libs.api.wire import resource_name
from libs.auth.keys import generate
from libs.clock import SystemClock
from libs.db import Database
from libs.events import Record, open_log, partition_for
from libs.events.log import Producer
from libs.ids import Ids
from libs.local.postgres import EmbeddedPostgres
from pq.alerts.v1.alerts_events_pb2 import AlertTriggered
from services.delivery.channels.resolver import Resolver
from services.delivery.domain.addresses import AddressPolicy, parse_networks
from services.delivery.domain.settings import Settings
from services.delivery.domain.urls import UrlPolicy
from services.delivery.handlers.endpoints import Endpoints
from services.delivery.store.vault import Vault
from tests.bench import Row

MESSAGES = 10_000
ENDPOINTS = 200
SINGLES = 100
APPEND = 500
PARTITIONS = 16


@dataclass(frozen=True)
class Run:
    """Webhooks a second, from the first append to the last outcome, and CPU µs a webhook."""

    rate: float
    service_cpu: float
    database_cpu: float


@dataclass
class Bench:
    """The running service, and what measures it."""

    db: Database
    producer: Producer
    service: psutil.Process
    postmaster: psutil.Process
    endpoints: Endpoints
    ids: Ids
    environment: dict[str, str]

    async def accounts(self, count: int, url: str) -> list[UUID]:
        """So many accounts with an endpoint each."""
        made = [self.ids.uuid() for _ in range(count)]
        for account in made:
            asked = await self.endpoints.check(Settings(url))
            async with self.db.transaction() as tx:
                await self.endpoints.create(tx, account, asked)
        return made

    async def send(self, accounts: list[UUID], count: int) -> Run:
        """Sends so many messages."""
        records = [self.record(accounts[at % len(accounts)]) for at in range(count)]
        before = await self.recorded()
        cpu, database = _cpu(self.service), self._database_cpu()
        begun = time.perf_counter()
        for at in range(0, count, APPEND):
            await self.producer.append(records[at : at + APPEND])
        while await self.recorded() < before + count:  # noqa: ASYNC110 # another process does it
            await asyncio.sleep(0.05)
        return Run(
            count / (time.perf_counter() - begun),
            (_cpu(self.service) - cpu) / count * 1e6,
            (self._database_cpu() - database) / count * 1e6,
        )

    def _database_cpu(self) -> float:
        return sum(_cpu(backend) for backend in self.postmaster.children(recursive=True))

    async def recorded(self) -> int:
        """How many outcomes are recorded."""
        return int(await self.db.fetchval("select count(*) from attempts"))

    def record(self, account: UUID) -> Record:
        """An alert that fired, as alerts publishes it."""
        event = AlertTriggered(
            recipient=resource_name("accounts", "acc", account),
            alert="alerts/alr_01jzzzzzzzzzzzzzzzzzzzzzzz",
            card="cards/pokemon-42382-holofoil",
            kind="price_above",
            day="2025-06-01",
            previous_day="2025-05-31",
            reason="12.50 USD is at or above 10.00 USD; it was 9.80 USD on 2025-05-31",
            note="the one for the binder",
        )
        for money, amount in ((event.price, "12.50"), (event.threshold, "10.00")):
            money.currency_code, money.amount = "USD", amount
        event.fire_time.GetCurrentTime()
        return Record(
            id=self.ids.uuid(),
            topic="pq.alerts.triggered.v1",
            partition=partition_for(event.recipient, PARTITIONS),
            key=event.recipient,
            type=AlertTriggered.DESCRIPTOR.full_name,
            time=SystemClock().now(),
            source="/pq/alerts",
            payload=event.SerializeToString(),
        )


async def run(scale: int) -> list[Row]:
    """The family's rows."""
    with tempfile.TemporaryDirectory() as folder, sink() as port:
        async with _running(Path(folder)) as bench:
            url = f"http://127.0.0.1:{port}/hook"
            bare = await _bare(url, 10_000)
            many = await bench.accounts(ENDPOINTS, url)
            await bench.send(many, 1000)  # connections, plans, caches
            count = MESSAGES * scale
            spread = await bench.send(many, count)
            single = await bench.send(await bench.accounts(1, url), count)
            latencies = await _singles(bench)
            memory = bench.service.memory_info().rss / 1e6
            both = await _with_another(bench, many, count)
    quoted = "measured earlier on the same size of machine: Outpost 1.2.0"
    return [
        Row(
            "delivery.webhooks",
            scale,
            spread.rate,
            "1/s",
            2500,
            rival="bare POSTs, same client and sink",
            rival_value=bare,
            note=f"{ENDPOINTS} endpoints",
        ),
        Row(
            "delivery.two_processes",
            scale,
            both,
            "1/s",
            rival="one process, same run",
            rival_value=spread.rate,
            note="sharing one database and these cores",
        ),
        Row("delivery.webhooks_one_endpoint", scale, single.rate, "1/s", 2500),
        Row("delivery.cpu_service", scale, spread.service_cpu, "µs/webhook"),
        Row("delivery.cpu_database", scale, spread.database_cpu, "µs/webhook"),
        Row("delivery.memory", scale, memory, "MB", 150, at_least=False),
        Row(
            "delivery.single_p50",
            scale,
            statistics.median(latencies) * 1e3,
            "ms",
            rival=quoted,
            rival_value=30,
            note="append to arrival",
        ),
        Row("delivery.single_p99", scale, latencies[-1 - len(latencies) // 100] * 1e3, "ms"),
    ]


async def _with_another(bench: Bench, accounts: list[UUID], count: int) -> float:
    """Webhooks a second with a second process beside the first."""
    with subprocess.Popen(  # noqa: ASYNC220 # a start, not a wait
        [sys.executable, "-m", "services.delivery"],
        env=bench.environment,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while await bench.db.fetchval("select count(*) from workers") < 2:  # noqa: ASYNC110 # another process does it
                await asyncio.sleep(0.1)
            await bench.send(accounts, 2000)  # partitions are shared out, plans made
            return (await bench.send(accounts, count)).rate
        finally:
            process.terminate()
            process.wait(30)


async def _singles(bench: Bench) -> list[float]:
    """Seconds from an append to its arrival, idle in between, sorted."""
    arrived: asyncio.Queue[float] = asyncio.Queue()

    class Timing(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, _data: bytes) -> None:
            arrived.put_nowait(time.perf_counter())
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")  # type: ignore[attr-defined]

    server = await asyncio.get_running_loop().create_server(Timing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    [account] = await bench.accounts(1, f"http://127.0.0.1:{port}/hook")
    taken = []
    for _ in range(SINGLES):
        begun = time.perf_counter()
        await bench.producer.append([bench.record(account)])
        taken.append(await arrived.get() - begun)
        await asyncio.sleep(0.02)
        while not arrived.empty():  # a request that came in two parts
            arrived.get_nowait()
    server.close()
    return sorted(taken)


async def _bare(url: str, count: int) -> float:
    """POSTs a second by the same HTTP client, with nothing around them."""
    client = ClientBuilder().no_proxy().timeout(timedelta(seconds=15)).build()
    body = b"x" * 460

    async def post(each: int) -> None:
        for _ in range(each):
            async with client.post(url).body_bytes(body).build_streamed() as response:
                await response.body_reader.bytes()

    begun = time.perf_counter()
    await asyncio.gather(*[post(count // 64) for _ in range(64)])
    seconds = time.perf_counter() - begun
    await client.close()
    return count // 64 * 64 / seconds


@contextmanager
def sink() -> Iterator[int]:
    """The port of a receiver that answers 200, in a process of its own."""
    command = [sys.executable, "-m", "tests.bench._sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[Bench]:
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        await server.ready()
        await server.create_databases(["delivery", "log"])
        environment = service_environment(folder, server)
        with subprocess.Popen(  # noqa: ASYNC220 # nothing else runs yet
            [sys.executable, "-m", "services.delivery"],
            env=environment,
            stderr=(folder / "delivery.log").open("w"),
        ) as process:
            try:
                async with _connected(server, environment, process) as bench:
                    yield bench
            finally:
                process.terminate()
                process.wait(30)
                sys.stderr.write((folder / "delivery.log").read_text()[-2000:])
    finally:
        server.stop()


@asynccontextmanager
async def _connected(
    server: EmbeddedPostgres, environment: dict[str, str], process: subprocess.Popen[bytes]
) -> AsyncIterator[Bench]:
    clock = SystemClock()
    ids = Ids(clock)
    dsn = server.dsn("delivery")
    await _until_ready(dsn)
    db = await Database.connect(dsn, application="bench")
    log = open_log(environment["PQ_EVENT_LOG"])
    policy = UrlPolicy(AddressPolicy(parse_networks(["127.0.0.0/8"])), allow_http=True)
    resolver = Resolver(policy.addresses, clock)
    vault = Vault.load(Path(environment["PQ_DELIVERY_SECRET_KEYS"]))
    producer = await log.produce(ids.uuid())
    endpoints = Endpoints(db, vault, policy, resolver, clock, ids)
    try:
        yield Bench(
            db,
            producer,
            psutil.Process(process.pid),
            psutil.Process(server.pid),
            endpoints,
            ids,
            environment,
        )
    finally:
        await producer.close()
        await log.close()
        await db.close()
        resolver.close()


async def _until_ready(dsn: str) -> None:
    """Waits until the service has a worker."""
    async with asyncio.timeout(30):
        while True:
            try:
                connection = await asyncpg.connect(dsn)
                try:
                    if await connection.fetchval("select count(*) from workers"):
                        return
                finally:
                    await connection.close()
            except asyncpg.PostgresError:
                pass
            await asyncio.sleep(0.1)


def service_environment(folder: Path, server: EmbeddedPostgres) -> dict[str, str]:
    """What the service is started with."""
    generate("delivery", folder / "keys", folder / "public")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    (folder / "ring").write_text(f"k1 {key}\n")
    (folder / "page").write_bytes(secrets.token_bytes(32))
    return {
        **os.environ,
        "MALLOC_ARENA_MAX": "2",
        "PQ_DATABASE_URL": server.dsn("delivery"),
        "PQ_EVENT_LOG": server.dsn("log"),
        "PQ_AUTH_KEYS": str(folder / "public"),
        "PQ_SIGNING_KEY": str(folder / "keys" / "delivery.pem"),
        "PQ_PAGE_TOKEN_KEY": str(folder / "page"),
        "PQ_DELIVERY_SECRET_KEYS": str(folder / "ring"),
        "PQ_DELIVERY_ALLOW_NETWORKS": "127.0.0.0/8",
        "PQ_DELIVERY_ALLOW_HTTP": "true",
        "PQ_DRAIN_NOTICE": "0",
        "PQ_LOG_FORMAT": "plain",
    }


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
