"""A service as a process: starts whatever is away, becomes ready, drains, exits with 0."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

import asyncpg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.clock import SystemClock
from libs.errors import AppError, Kind
from libs.rpc import client
from libs.testing.rpc import TestKeys, operator, service
from pq.ops.v1 import ops_pb2, ops_pb2_grpc
from tests.integration.rpc.echo import Echo, Stub

ROOT = Path(__file__).parents[3]
PATIENCE = 30


class Process:
    """The tiny service, and what it logged so far."""

    def __init__(self, process, keys):
        self.process, self.keys = process, keys
        self.records = []
        self._grew = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self):
        async for line in self.process.stderr:
            with contextlib.suppress(json.JSONDecodeError):
                self.records.append(json.loads(line))
            self._grew.set()

    async def logged(self, body):
        """The attributes of the first record with this body."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for record in self.records:
                    if record["Body"] == body:
                        return record.get("Attributes", {})
                self._grew.clear()
                await self._grew.wait()

    async def exit_code(self):
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def get(self, path):
        """Status and body of a path of the metrics port."""
        listening = await self.logged("listening")
        return await asyncio.to_thread(_get, f"http://{listening['metrics']}{path}")

    async def channel(self, caller=None):
        listening = await self.logged("listening")
        identity = self.keys.identity(caller) if caller else None
        return client.open_channel(f"dns:///{listening['grpc']}", identity)


def _get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
async def start(tmp_path):
    keys = TestKeys(tmp_path / "keys", SystemClock())
    keys.minter("tiny")
    (tmp_path / "page").write_bytes(b"p" * 32)
    running = []

    async def start(dsn, **changed):
        environ = {
            "PATH": os.environ["PATH"],
            "PQ_DATABASE_URL": dsn,
            "PQ_EVENT_LOG": dsn,
            "PQ_AUTH_KEYS": str(keys.public),
            "PQ_SIGNING_KEY": str(keys.private / "tiny.pem"),
            "PQ_PAGE_TOKEN_KEY": str(tmp_path / "page"),
            "PQ_DRAIN_NOTICE": "0.1",
            "TINY_DRAINED": str(tmp_path / "drained"),
            **changed,
        }
        command = [sys.executable, "-m", "tests.integration.runtime.tiny"]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environ, stderr=asyncio.subprocess.PIPE
        )
        running.append(process)
        return Process(process, keys)

    yield start
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def health(channel, name=""):
    answer = await health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=name)
    )
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def test_it_starts_without_its_database_and_is_ready_once_that_is_there(start, postgres):
    name = f"late_{os.getpid()}"
    tiny = await start(postgres.dsn(name))
    assert await tiny.get("/healthz") == (200, "ok\n")
    assert await tiny.get("/readyz") == (503, "waiting for database\n")
    channel = await tiny.channel()
    assert await health(channel) == "NOT_SERVING"
    with pytest.raises(AppError) as caught:
        await Stub(channel, "Open").Collect([Echo(text="a")])
    assert (caught.value.kind, caught.value.reason) == (Kind.UNAVAILABLE, "database_unavailable")

    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"create database {name}")
    await tiny.logged("ready")
    assert await tiny.get("/readyz") == (200, "ok\n")
    assert await health(channel) == "SERVING"
    assert await health(channel, "pq.test.v1.Open") == "SERVING"
    assert (await Stub(channel, "Open").Unary(Echo(text="a"))).text == "1"

    tiny.process.terminate()
    assert await tiny.exit_code() == 0
    await channel.close()
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def test_sigterm_says_so_finishes_what_is_under_way_and_exits_with_0(start, empty_database):
    tiny = await start(empty_database, PQ_DRAIN_NOTICE="0.3")
    await tiny.logged("ready")
    channel = await tiny.channel()
    stub = Stub(channel, "Open")
    await stub.Unary(Echo())
    under_way = asyncio.create_task(stub.Unary(Echo(text="wait")))
    async with asyncio.timeout(PATIENCE):
        active = 'active_requests{rpc_method="pq.test.v1.Open/Unary"} 1.0'
        while active not in (await tiny.get("/metrics"))[1]:
            pass  # each look is a round trip
    tiny.process.send_signal(signal.SIGTERM)
    await tiny.logged("draining")
    assert await health(channel) == "NOT_SERVING"
    assert (await tiny.get("/readyz"))[0] == 503
    assert (await under_way).text == "0"
    assert await tiny.exit_code() == 0
    assert Path(tiny.keys.private.parents[1] / "drained").read_text() == "drained"
    assert [r for r in tiny.records if r["SeverityNumber"] >= 17 and r["Body"] != STUMBLED] == []
    await channel.close()


STUMBLED = "a background task failed and starts again"


async def test_operators_see_its_parts_and_a_failing_task_starts_again(start, empty_database):
    tiny = await start(empty_database)
    await tiny.logged("ready")
    channel = await tiny.channel(operator())
    await tiny.logged(STUMBLED)
    ops = ops_pb2_grpc.OpsServiceStub(channel)
    status = await ops.GetStatus(ops_pb2.GetStatusRequest())
    parts = {part.name: part for part in status.parts}
    assert status.service == "tiny"
    assert parts["database"].ok
    assert not parts["stumble"].ok
    assert "nothing there" in parts["stumble"].detail
    assert not status.outbox.error
    letters = await ops.ListDeadLetters(ops_pb2.ListDeadLettersRequest())
    assert list(letters.dead_letters) == []
    with pytest.raises(AppError) as caught:
        await ops.ResumePartition(ops_pb2.ResumePartitionRequest(consumer="nobody", topic="t"))
    assert caught.value.kind is Kind.NOT_FOUND

    await Stub(channel, "Open").Collect([Echo(text="a")], metadata=[])
    async with asyncio.timeout(PATIENCE):
        while not parts["stumble"].ok:
            status = await ops.GetStatus(ops_pb2.GetStatusRequest())
            parts = {part.name: part for part in status.parts}
    await channel.close()
    other = await tiny.channel(service("market"))
    with pytest.raises(AppError) as caught:
        await ops_pb2_grpc.OpsServiceStub(other).ListDeadLetters(ops_pb2.ListDeadLettersRequest())
    assert caught.value.kind is Kind.FORBIDDEN
    await other.close()


async def test_every_fault_of_the_configuration_is_told_in_a_line_each(start, tmp_path):
    tiny = await start("", PQ_LISTEN="nowhere", PQ_SIGNING_KEY="")
    error = b""
    tiny._reading.cancel()
    error = await tiny.process.stderr.read()
    assert await tiny.exit_code() == 78
    lines = error.decode().splitlines()
    named = {line.split()[1].rstrip(":") for line in lines}
    assert named == {"PQ_DATABASE_URL", "PQ_EVENT_LOG", "PQ_LISTEN", "PQ_SIGNING_KEY"}

    (tmp_path / "page").write_bytes(b"short")
    tiny = await start("postgres://x", PQ_AUTH_KEYS="/nowhere")
    tiny._reading.cancel()
    error = await tiny.process.stderr.read()
    assert await tiny.exit_code() == 78
    assert error.decode().count("\n") == 2
    assert b"PQ_AUTH_KEYS: /nowhere: no such folder" in error


async def test_a_port_in_use_is_one_clear_line(start, empty_database):
    first = await start(empty_database)
    address = (await first.logged("listening"))["grpc"]
    second = await start(empty_database, PQ_LISTEN=address)
    await second.logged(f"{address} cannot be listened on: it is taken")
    assert await second.exit_code() == 1


async def test_a_database_that_does_not_fit_ends_it(start, empty_database):
    first = await start(empty_database)
    await first.logged("ready")
    connection = await asyncpg.connect(empty_database)
    await connection.execute("update schema_migrations set sha256 = 'x' where namespace = 'tiny'")
    await connection.close()
    second = await start(empty_database)
    await second.logged("the service cannot go on")
    assert await second.exit_code() == 1
