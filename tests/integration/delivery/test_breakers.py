"""Circuit breakers at work: what is sent, what waits, and who is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from libs.ids import decode
from libs.obs.metrics import BREAKER_TRANSITIONS
from pq.delivery.v1.delivery_events_pb2 import BreakerChanged, EndpointDisabled, EndpointFailing
from services.delivery.domain.breaker import BreakerPolicy
from services.delivery.domain.schedule import Schedule
from services.delivery.sending.dispatcher import Limits
from services.delivery.sending.health import HealthPolicy
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.world import DELIVERED, PENDING, until

QUICK = BreakerPolicy(minimum=10, first=0.4, longest=0.8, probes=3)


@pytest.fixture(autouse=True)
def quick(world):
    world.health = HealthPolicy(QUICK, probe_lifetime=5.0)
    world.schedule = Schedule((0.01,) * 100, jitter=0.0)


async def _published(world, *types):
    rows = await world.db.fetch("select type, payload from event_outbox order by id")
    by_name = {kind.DESCRIPTOR.full_name: kind for kind in types}
    return [
        by_name[row["type"]].FromString(row["payload"]) for row in rows if row["type"] in by_name
    ]


def _counted() -> Counter:
    return Counter(
        {to: int(BREAKER_TRANSITIONS.labels(to)._value.get()) for to in ("open", "reopen", "close")}
    )


async def _breaker(world):
    return await world.db.fetchrow("select * from breakers")


async def _opened(world, sender, receiver, account, count=10):
    receiver.paths["/"] = behave.answer(500)
    await world.endpoint(account, receiver.url())
    await world.tell(sender, *[world.fired(account) for _ in range(count)])

    async def is_open():
        row = await _breaker(world)
        return row is not None and row["state"] == 2

    await until(is_open)


async def test_an_open_breaker_closes_the_lane_and_uses_no_attempts(world, receiver, account):
    world.health = HealthPolicy(BreakerPolicy(minimum=10, first=3600))
    sender = await world.sender()
    await _opened(world, sender, receiver, account)
    lane = await world.db.fetchrow("select due, hold_until, hold_reason from lanes")
    assert lane["hold_reason"] == "breaker_open"
    assert lane["due"] >= lane["hold_until"] > world.clock.now() + timedelta(minutes=10)
    await until(lambda: sender.dispatcher.in_flight == 0)
    seen = len(receiver.arrivals)
    await world.tell(sender, world.fired(account), world.fired(account))
    assert await sender.worker.claim_once() is False
    assert len(receiver.arrivals) == seen
    assert [row["worker"] for row in await world.deliveries()][-2:] == [None, None]


async def test_it_recovers_by_probes_and_is_told_of(world, receiver, account):
    before = _counted()
    sender = await world.sender()
    await _opened(world, sender, receiver, account, 40)
    receiver.paths["/"] = behave.answer(200)
    await world.settled(40)
    assert set(await world.states()) == {DELIVERED}
    told = await _published(world, BreakerChanged)
    assert (told[0].transition, told[-1].transition) == ("open", "close")
    assert _counted() == before + Counter(event.transition for event in told)
    assert told[0].HasField("probe_time")
    assert not told[-1].HasField("probe_time")
    assert decode("acc", told[0].account.removeprefix("accounts/")) == account


async def test_under_load_no_more_probes_fly_than_allowed_by_two_workers_together(
    world, receiver, account
):
    """Two workers, hundreds of messages, an endpoint that keeps failing slowly: half-open, the
    receiver never sees more than three at a time."""
    limits = Limits(credit=16)
    first, second = await world.sender(limits=limits), await world.sender(limits=limits)
    await _opened(world, first, receiver, account, 300)
    flying = most = 0

    async def slow(_arrival, writer):
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.02)
        flying -= 1
        return await behave.answer(500)(_arrival, writer)

    async def all_are_back():
        return (
            await world.db.fetchval("select count(*) from deliveries where lease is not null") < 4
        )

    await until(all_are_back)
    receiver.paths["/"] = slow
    for sender in (first, second):
        await world.tell(sender, *[world.fired(account) for _ in range(100)])

    async def reopened():
        told = await _published(world, BreakerChanged)
        return [event.transition for event in told].count("reopen") >= 3

    await until(reopened)
    assert 1 <= most <= QUICK.probes
    receiver.paths["/"] = behave.answer(200)
    await world.settled(500)


async def test_a_breaker_outlives_the_process(world, receiver, account):
    world.health = HealthPolicy(BreakerPolicy(minimum=10, first=3600))
    first = await world.sender()
    await _opened(world, first, receiver, account)
    await first.stop()
    second = await world.sender()
    seen = len(receiver.arrivals)
    await world.tell(second, world.fired(account))
    assert await second.worker.claim_once() is False
    assert len(receiver.arrivals) == seen
    await world.db.execute("update lanes set hold_until = now(), due = now()")
    await world.db.execute("update breakers set until = now()")
    receiver.paths["/"] = behave.answer(200)
    await world.settled(11)


async def test_a_busy_receiver_is_slowed_and_its_breaker_stays_closed(world, receiver, account):
    receiver.paths["/"] = behave.in_turn(
        *[behave.answer(429, retry_after="1")] * 12, behave.answer(200)
    )
    sender = await world.sender()
    await world.endpoint(account, receiver.url())
    await world.tell(sender, *[world.fired(account) for _ in range(12)])

    async def held():
        return await world.db.fetchval("select hold_reason from lanes") == "receiver_busy"

    await until(held)
    assert (await _breaker(world))["state"] == 1
    await world.settled(12)
    assert await _published(world, BreakerChanged) == []
    assert await world.db.fetchval("select hold_until from lanes") is None


async def test_a_healthy_endpoint_has_no_breaker_and_one_that_recovered_loses_it(
    world, receiver, account
):
    world.health = HealthPolicy(BreakerPolicy(window=1.2, minimum=10))
    sender = await world.sender()
    receiver.paths["/"] = behave.in_turn(behave.answer(500), behave.answer(200))
    await world.endpoint(account, receiver.url())
    await world.tell(sender, world.fired(account))
    await world.settled(1)

    async def forgotten():
        await world.tell(sender, world.fired(account))
        return await _breaker(world) is None

    await until(forgotten)
    await world.tell(sender, *[world.fired(account) for _ in range(5)])
    assert await _breaker(world) is None


async def test_nothing_but_failure_warns_and_then_disables(world, receiver, account):
    receiver.paths["/"] = behave.answer(500)
    sender = await world.sender()
    endpoint = await world.endpoint(account, receiver.url())
    await world.tell(sender, world.fired(account))

    async def is_failing():
        return await _breaker(world) is not None

    await until(is_failing)
    since = "update breakers set failing_since = now() - interval '{}'"
    await world.db.execute(since.format("4 days"))

    async def warned():
        return len(await _published(world, EndpointFailing)) == 1

    await until(warned)
    await world.db.execute(since.format("5 days"))

    async def disabled():
        return await world.db.fetchval("select state from endpoints") == 3

    await until(disabled)
    [failing] = await _published(world, EndpointFailing)
    [told] = await _published(world, EndpointDisabled)
    assert (told.reason, told.http_status, told.url) == ("endpoint_failing", 500, receiver.url())
    assert decode("ep", told.endpoint.removeprefix("endpoints/")) == endpoint
    assert failing.disable_time.ToDatetime() - failing.failing_since.ToDatetime() == timedelta(5)
    await until(lambda: sender.dispatcher.in_flight == 0)
    await world.tell(sender, world.fired(account))
    assert await world.states() == [PENDING, PENDING]
    assert await _breaker(world) is None


async def test_one_that_answers_410_is_disabled_and_its_owner_hears_of_it(world, receiver, account):
    receiver.paths["/"] = behave.answer(410)
    sender = await world.sender()
    await world.endpoint(account, receiver.url())
    await world.tell(sender, world.fired(account))
    await world.settled(1)
    [told] = await _published(world, EndpointDisabled)
    assert (told.reason, told.http_status) == ("endpoint_gone", 410)
    assert not told.HasField("failing_since")
