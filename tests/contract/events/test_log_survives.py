"""Deaths: of every process of a service, of the broker, of the database. Nothing is lost."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
from asyncpg.exceptions._base import InternalClientError

from libs.db import Database
from libs.events import Broadcast
from libs.local.postgres import EmbeddedPostgres
from libs.testing.postgres import fresh_database
from pq.accounts.v1.accounts_events_pb2 import AccountChanged
from tests.contract.events.world import (
    World,
    catalog,
    event,
    handled,
    publish,
    until,
    until_sent,
    world,
)
from tests.kafka.broker import JarBroker

ACTOR = Path(__file__).with_name("actor.py")
PUBLISHED = "create table published (key text primary key, value bigint not null)"
# Who is killed, in turn: the oldest of the role, which is the one at work.
KILLS = ("relay", "consume", "relay", "produce", "relay", "consume", "relay", "relay")
# What the tests' own queries meet while the server is away.
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, InternalClientError)


class Processes:
    """Subprocesses by role."""

    def __init__(self, here: World, dsn: str) -> None:
        self._here, self._dsn = here, dsn
        self.running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, role: str) -> None:
        name = self._here.topic.split(".")[2]
        command = [sys.executable, str(ACTOR), role, self._here.log_url, self._dsn, name]
        quiet = subprocess.DEVNULL
        self.running.append((role, subprocess.Popen(command, stdout=quiet, stderr=quiet)))

    def kill(self, index: int) -> None:
        """SIGKILL."""
        role, process = self.running.pop(index)
        assert process.poll() is None, f"{role} had ended by itself"
        process.kill()
        process.wait()

    def kill_all(self, role: str | None = None) -> None:
        for index in reversed(range(len(self.running))):
            if role in (None, self.running[index][0]):
                self.kill(index)


@pytest.fixture
def processes(here: World) -> Iterator[Callable[[str], Processes]]:
    made: list[Processes] = []

    def make(dsn: str) -> Processes:
        made.append(Processes(here, dsn))
        return made[-1]

    yield make
    for each in made:
        for _, process in each.running:
            process.kill()
            process.wait()


async def published(db: Database) -> dict[str, list[int]]:
    """What the oracle says must have been handled, in order."""
    rows = await db.fetch("select key, value from published")
    return {row["key"]: list(range(1, row["value"] + 1)) for row in rows}


async def until_quiet(db: Database) -> None:
    """Waits until as much was handled as was published, then holds it against the oracle."""

    async def all_there() -> bool:
        wanted: int = await db.fetchval("select coalesce(sum(value), 0) from published")
        found: int = await db.fetchval("select count(*) from handled")
        return found >= wanted

    await until(all_there, deadline=60, what="everything published is handled")
    assert await handled(db) == await published(db)


async def test_killed_producers_relays_and_consumers_lose_nothing(
    here: World, processes: Callable[[str], Processes]
) -> None:
    """SIGKILL at random moments; afterwards each event was handled once, in its key's order."""
    db = await here.service()
    await db.execute(PUBLISHED)
    actors = processes(db.dsn)  # type: ignore[attr-defined]
    for role in ("produce", "relay", "consume", "relay", "consume"):
        actors.start(role)
    progress = 0
    for role in KILLS:
        # Kills fall into work: something was handled since the last one.
        async def moved(seen: int = progress) -> int:
            found: int = await db.fetchval("select count(*) from handled")
            return found if found > seen else 0

        progress = await until(moved, deadline=60, what="work between kills")
        await asyncio.sleep(random.random() * 0.2)  # a random moment
        actors.kill([running for running, _ in actors.running].index(role))
        actors.start(role)
    actors.kill_all("produce")
    await until_quiet(db)
    assert len(await published(db)) == 12
    await until_sent(db)


@pytest.fixture(params=["postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
async def mortal(
    request: pytest.FixtureRequest,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
) -> AsyncIterator[tuple[World, Callable[[], None], Callable[[], Awaitable[None]]]]:
    """A world on a server of its own, how to kill that, and how to start it again.

    For the PostgreSQL log the services' databases are on the same server, and die with it.
    """
    name = f"m{random.randrange(10**9)}"
    async with AsyncExitStack() as stack:
        if request.param == "kafka":
            broker: JarBroker = request.getfixturevalue("mortal_broker")

            async def restart_broker() -> None:
                await asyncio.to_thread(broker.start)

            def fresh() -> Awaitable[str]:
                return stack.enter_async_context(fresh_database(postgres))

            url = f"kafka://{broker.address}"
            async with world(url, catalog(name), fresh) as here:
                yield here, broker.kill, restart_broker
            return
        # The machine stays up, so fsync is not needed; commits must be on their way to the disk,
        # though: synchronous_commit=off, as other tests have it, would lose them with the process.
        server = EmbeddedPostgres(tmp_path / "pg", settings={"fsync": "off"})
        server.start()
        try:
            await server.ready()

            def kill() -> None:
                assert server.pid is not None
                process = server._process
                assert process is not None
                process.kill()
                process.wait()

            async def restart() -> None:
                server.start()
                await server.ready()

            numbers = iter(range(100))

            async def create() -> str:
                database = f"d{next(numbers)}"
                await server.create_databases([database])
                return server.dsn(database)

            async with world(await create(), catalog(name), create) as here:
                yield here, kill, restart
        finally:
            server.stop()


async def test_a_restart_of_the_broker_only_delays(
    mortal: tuple[World, Callable[[], None], Callable[[], Awaitable[None]]],
) -> None:
    """And a broadcast's reader knows meanwhile that what it has may be stale."""
    here, kill, restart = mortal
    db, log = await here.service(), here.log()
    relay = here.relay(db, log)
    here.consumer(db, log)
    feed = Broadcast(log, AccountChanged)
    got: list[int] = []

    async def follow() -> None:
        async for batch in feed:
            got.extend(int(received.data.change_time.seconds) for received in batch)

    following = here.run(follow())

    async def up_to_date() -> bool:
        try:
            return await db.fetchval("select max(value) from handled") == sent
        except AWAY:
            return False

    async def fresh() -> bool:
        if following.done():
            await following  # tells why
        return feed.age() < 2

    async def stale() -> bool:
        return feed.age() > 2

    await until(fresh)
    sent = 0
    await publish_when_possible(db, sent)
    await until(up_to_date, what="handled before the kill")
    kill()
    await until(stale, what="the broadcast notices")
    assert relay.task.done() is False  # type: ignore[attr-defined]
    await restart()
    sent += 1
    await publish_when_possible(db, sent)
    await until(up_to_date, what="handled after the restart")
    await until(fresh, what="the broadcast is back")

    async def followed() -> bool:
        return sorted(set(got)) == list(range(sent + 1))

    await until(followed, what="the broadcast missed nothing")
    assert await handled(db) == {"accounts/k": list(range(sent + 1))}


async def publish_when_possible(db: Database, value: int) -> None:
    """The database may be coming back just now."""

    async def done() -> bool:
        try:
            await publish(db, event("k", value))
        except AWAY:
            return False
        return True

    await until(done)
