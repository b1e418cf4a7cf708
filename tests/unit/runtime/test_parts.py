"""What a process is made of: tasks that start again, readiness, a late database, probes."""

import asyncio
import logging

import asyncpg
import pytest

from libs.db import MigrationError, is_transient
from libs.runtime import database as databases
from libs.runtime.background import LONGEST_PAUSE, Background
from libs.runtime.config import ServiceConfig, address
from libs.runtime.database import DatabaseAwayError, LazyDatabase, Opening
from libs.runtime.parts import Parts
from libs.runtime.probes import Probes


async def test_a_task_that_fails_starts_again_later_each_time():
    pauses, runs = [], 0
    enough = asyncio.Event()

    async def sleep(seconds):
        pauses.append(seconds)

    async def work():
        nonlocal runs
        runs += 1
        if runs > 12:
            enough.set()
            await asyncio.Event().wait()
        raise ValueError("no luck")

    background, part = Background(sleep), Parts().add("work")
    background.start("work", work, part)
    await asyncio.wait_for(enough.wait(), 5)
    assert not part.ok
    assert part.detail == "ValueError: no luck"
    assert all(0.05 * 2**n <= pause <= 0.1 * 2**n for n, pause in enumerate(pauses[:8]))
    assert max(pauses) <= LONGEST_PAUSE
    await background.stop(1)


async def test_a_transient_failure_is_no_traceback(caplog):
    again = asyncio.Event()

    async def sleep(_seconds):
        again.set()
        await asyncio.Event().wait()

    async def work():
        raise ConnectionRefusedError("away")

    background = Background(sleep)
    background.start("work", work, Parts().add("work"))
    await asyncio.wait_for(again.wait(), 5)
    await background.stop(1)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_work_that_returns_is_done():
    done = asyncio.Event()

    async def work():
        done.set()

    background, part = Background(), Parts().add("work")
    background.start("work", work, part)
    await asyncio.wait_for(done.wait(), 5)
    await background.stop(1)
    assert (part.ok, part.detail) == (True, "done")


async def test_work_that_needs_the_database_waits_for_it_and_comes_at_once():
    database = LazyDatabase(None)
    runs, tried, through = 0, asyncio.Event(), asyncio.Event()

    async def work():
        nonlocal runs
        runs += 1
        tried.set()
        if not database.reached.is_set():
            database.acquire()
        through.set()

    async def sleep(_seconds):
        pytest.fail("that was no failure")

    background, part = Background(sleep), Parts().add("work")
    background.start("work", work, part)
    await tried.wait()
    assert not part.ok
    database.adopt(LazyDatabase(None))
    await asyncio.wait_for(through.wait(), 5)
    await background.stop(1)
    assert runs == 2


async def test_cancelled_tasks_get_time_to_clean_up(caplog):
    cleaned, started = [], asyncio.Event()

    async def work():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    background = Background()
    background.start("work", work, Parts().add("work"))
    await started.wait()
    await background.stop(5)
    assert cleaned == [True]


def test_readiness_waits_for_everything_once():
    parts = Parts()
    parts.wait_for("a")
    parts.wait_for("b")
    parts.settle()
    parts.arrived("a")
    assert not parts.ready.is_set()
    assert parts.missing() == ["b"]
    parts.arrived("b")
    assert parts.ready.is_set()
    parts.add("a").down("gone later")
    assert parts.ready.is_set()
    with pytest.raises(ValueError, match="two parts"):
        parts.add("a")


async def test_a_database_not_yet_reached_is_a_passing_fault():
    database = LazyDatabase(None)
    with pytest.raises(DatabaseAwayError) as caught:
        await database.fetchval("select 1")
    assert is_transient(caught.value)
    with pytest.raises(DatabaseAwayError):
        await database.dedicated()
    await database.close()


def opening():
    return Opening("postgres://x", "pq-x", 3, [], Parts().add("database"))


async def test_opening_goes_on_until_the_server_is_there(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    faults = [
        ConnectionRefusedError("no"),
        ConnectionRefusedError("no"),
        asyncpg.InvalidCatalogNameError("no such database"),
        asyncpg.SyntaxOrAccessError("odd"),
    ]

    async def migrate(_dsn, _folders):
        if faults:
            raise faults.pop(0)

    async def connect(*_args, **_kwargs):
        return LazyDatabase(None)

    monkeypatch.setattr(databases, "migrate", migrate)
    monkeypatch.setattr(databases.Database, "connect", connect)
    database, trial = LazyDatabase(None), opening()
    await asyncio.wait_for(trial.open(database), 10)
    assert database.reached.is_set()
    assert trial.part.ok
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "WARNING", "ERROR", "INFO"], "each fault is told once"


async def test_what_no_waiting_mends_is_raised(monkeypatch):
    async def migrate(_dsn, _folders):
        raise MigrationError("changed")

    monkeypatch.setattr(databases, "migrate", migrate)
    with pytest.raises(MigrationError):
        await opening().open(LazyDatabase(None))


async def ask(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


@pytest.fixture
async def probes():
    why = [""]
    served = Probes(lambda: why[0])
    served.why = why
    served.port = await served.start("127.0.0.1", 0)
    yield served
    await served.stop()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /healthz HTTP/1.1", 200),
        ("GET /readyz?verbose HTTP/1.1", 200),
        ("GET /metrics HTTP/1.1", 200),
        ("GET /else HTTP/1.1", 404),
        ("POST /healthz HTTP/1.1", 405),
        ("nonsense", 405),
    ],
)
async def test_probes_answer(probes, request_line, status):
    answer = await ask(probes.port, f"{request_line}\r\nHost: x\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"Content-Length: {len(body)}".encode() in head


async def test_probes_say_why_not_and_survive_anything(probes):
    probes.why[0] = "waiting for database"
    assert b"503" in await ask(probes.port, b"GET /readyz HTTP/1.1\r\n\r\n")
    assert await ask(probes.port, b"x" * 100_000) == b""
    head = await ask(probes.port, b"HEAD /metrics HTTP/1.1\r\n\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert b"rpc_server_active_requests" in await ask(probes.port, b"GET /metrics HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h:1", ("h", 1)),
        (":80", ("", 80)),
        ("[::1]:80", ("::1", 80)),
        ("h", None),
        ("h:x", None),
        ("h:70000", None),
    ],
)
def test_addresses(text, expected):
    if expected is None:
        with pytest.raises(ValueError, match="host:port"):
            address(text)
    else:
        assert address(text) == expected


def test_a_service_is_named_by_its_package():
    def named(module):
        return type("Config", (ServiceConfig,), {"__module__": module}).service_name()

    assert named("services.market.config") == "market"
    assert named("gateway.config") == "gateway"
