"""Relay and consumer beside their main work: one relay at a time, the inbox pruned."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from libs.db import Database, migrate
from libs.events import MIGRATIONS, Partition, store
from libs.events.low_water import LowWater, oldest_publisher
from libs.events.outbox import LOCK_CLASS
from libs.ids import Ids
from libs.local.postgres import EmbeddedPostgres
from libs.testing.clock import START, FakeClock
from libs.testing.postgres import fresh_database
from tests.contract.events.world import (
    World,
    catalog,
    event,
    publish,
    until,
    until_handled,
    until_sent,
    world,
)

DAY = timedelta(days=1)


@pytest.fixture
async def here(postgres: EmbeddedPostgres, empty_database: str) -> AsyncIterator[World]:
    """A world on the PostgreSQL log, with one database for services."""
    async with fresh_database(postgres) as dsn:

        async def only() -> str:
            return dsn

        async with world(empty_database, catalog("upkeep"), only) as made:
            yield made


async def test_one_relay_works_and_the_other_takes_over(here: World) -> None:
    """And what commits beside the one that waits reaches the one that works, at once."""
    db = await here.service()
    first = here.relay(db, here.log())

    async def leads() -> bool:
        return first.relaying

    await until(leads)
    elsewhere = await here.connect(db.dsn)  # type: ignore[attr-defined]
    second = here.relay(elsewhere, here.log())
    here.consumer(db, here.log())
    await publish(elsewhere, event("k", 0))
    await until_handled(db, 1)
    taken = []
    for value in range(1, 21):
        began = time.monotonic()
        await publish(elsewhere, event("k", value))
        await until_handled(db, value + 1)
        taken.append(time.monotonic() - began)
    # Far below the slowest poll of an idle relay.
    assert sorted(taken)[10] < 0.2
    assert not second.relaying
    first.task.cancel()  # type: ignore[attr-defined]

    async def took_over() -> bool:
        return second.relaying

    await until(took_over)
    await publish(db, event("k", 21))
    await until_handled(db, 22)
    await until_sent(db)
    standing = await second.status()
    assert (standing.waiting, standing.relaying, standing.error) == (0, True, "")


async def test_a_relay_whose_connection_is_cut_starts_over(here: World) -> None:
    """Its lock went with it."""
    db = await here.service()
    relay = here.relay(db, here.log())
    here.consumer(db, here.log())
    await publish(db, event("k", 0))
    await until_handled(db, 1)
    cut = await db.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_locks"
        " where locktype = 'advisory' and objsubid = 1 and database ="
        " (select oid from pg_database where datname = current_database())"
    )
    assert cut == 1
    await publish(db, event("k", 1))
    await until_handled(db, 2)
    assert relay.relaying


async def test_the_inbox_is_pruned_by_how_far_the_consumer_is(
    empty_database: str, clock: FakeClock, ids: Ids
) -> None:
    """Not by today's date: one that was away for a month still needs what it knew."""
    await migrate(empty_database, [("events", MIGRATIONS)])
    db = await Database.connect(empty_database, application="test")
    try:
        key = await store.consumer_id(db, "test.one")
        parts = [Partition("t", number) for number in range(2)]
        await store.place(db, key, dict.fromkeys(parts, 0))
        old, new = ids.uuid(), ids.uuid()
        await _remember(db, key, old, START - 20 * DAY)
        await _remember(db, key, new, START - 2 * DAY)
        assert await store.prune(db, key, 14 * DAY) == 0  # nobody knows how far it is
        await store.caught_up(db, key, parts[:1], START)
        assert await store.prune(db, key, 14 * DAY) == 0  # the other partition may be far back
        await store.caught_up(db, key, parts[1:], START - 10 * DAY)
        assert await store.prune(db, key, 14 * DAY) == 0
        await store.caught_up(db, key, parts, START)
        assert await store.prune(db, key, 14 * DAY) == 1
        left = await db.fetchval("select array_agg(event_id) from event_inbox")
        assert left == [new]
    finally:
        await db.close()


async def _remember(db: Database, key: int, id: UUID, when: object) -> None:
    await db.execute("insert into event_inbox values ($1, $2, $3)", key, id, when)


async def test_a_publisher_whose_beginning_is_not_shown_holds_the_mark(here: World) -> None:
    """As one that is just ending: its lock is still there, its transaction no more."""
    db = await here.service()
    low = LowWater()
    low.sent(7)
    async with db.acquire() as asks, db.acquire() as holds:
        await holds.execute("select pg_advisory_lock($1, 5)", LOCK_CLASS)
        low.advance(*await oldest_publisher(asks))
        assert low.mark == 0
        await holds.execute("select pg_advisory_unlock($1, 5)", LOCK_CLASS)
        low.advance(*await oldest_publisher(asks))
        low.sent(0)
        assert low.mark == 7
