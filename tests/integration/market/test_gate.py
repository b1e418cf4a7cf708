"""The quality gate: a day that hardly moved is no news until somebody says so."""

from datetime import date, timedelta

import pytest

from services.market.domain.imports import Health
from services.market.handlers import gate
from services.market.handlers.release import Release
from services.market.store import snapshots

FIRST = date(2025, 5, 1)
CARDS = range(1, 61)


@pytest.fixture(autouse=True)
def few_cards_are_enough(monkeypatch):
    monkeypatch.setattr(gate, "LEAST_QUOTES", 50)


def day_of(number):
    return (FIRST + timedelta(days=number)).isoformat()


def moving(number, count):
    """Of 60 cards so many have another price than the day before."""
    return {n: f"{10 + (number if n <= count else 0)}.00" for n in CARDS}


async def settle(world, days=9):
    for number in range(days):
        await world.day(day_of(number), moving(number, 30))
    await world.sent()


async def health(world, number):
    return await snapshots.get(world.db, "tcgplayer", FIRST + timedelta(days=number), 1)


async def test_usual_days_are_sound_and_a_slow_one_is_marked_and_published(world):
    await settle(world)
    assert (await health(world, 3)).health is Health.UNJUDGED
    assert (await health(world, 8)).health is Health.SOUND
    slow = {n: f"{18 if 10 < n <= 30 else 27 if n <= 10 else 10}.00" for n in CARDS}
    await world.day(day_of(9), slow)
    found = await health(world, 9)
    assert (found.health, found.usual_share) == (Health.DEGRADED, 0.5)
    assert {event.newest for event in await world.changes()} == {True}
    assert await world.rows("pipeline_runs") == 10


async def test_a_day_that_stood_still_is_no_news_until_it_is_released(world):
    await settle(world)
    still = {**moving(8, 30), 60: "99.00"}
    await world.day(day_of(9), still)
    held = await health(world, 9)
    assert (held.health, held.is_held) == (Health.BLOCKED, True)
    assert {event.newest for event in await world.changes()} == {False}
    assert await world.rows("pipeline_runs") == 9
    release = Release(world.db, world.clock, world.ids)
    assert await release(held)
    [event] = await world.changes()
    [change] = event.changes
    assert (event.newest, change.price, change.previous_price) == (True, 9900, 1000)
    assert await world.rows("pipeline_runs") == 10
    assert not (await health(world, 9)).is_held
    assert not await release(held)
    assert await world.changes() == []


async def test_released_too_late_it_is_history(world):
    await settle(world)
    await world.day(day_of(9), {**moving(8, 30), 60: "99.00"})
    await world.day(day_of(10), {**moving(10, 30), 60: "98.00"})
    held = await health(world, 9)
    await world.sent()
    assert await Release(world.db, world.clock, world.ids)(held)
    assert {event.newest for event in await world.changes()} == {False}


async def test_history_and_corrections_are_not_judged(world):
    await settle(world)
    await world.day(day_of(8), moving(7, 30))
    await world.day(day_of(9), moving(8, 30), backfill=True)
    rows = await world.db.fetch("select health from snapshots where mode <> 1")
    assert [r[0] for r in rows] == [0, 0]
