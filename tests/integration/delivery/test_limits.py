"""What owners set about their endpoints: rate, attempts at a time, order, schedule, deadline."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from services.delivery.sending.dispatcher import Limits
from services.delivery.store import messages
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.world import (
    DELIVERED,
    EXPIRED,
    FAILED,
    PENDING,
    soon,
    until,
)


@pytest.fixture
def limited(world, receiver, account):
    """Makes an endpoint with such columns."""

    async def make(**columns) -> UUID:
        id = await world.endpoint(account, receiver.url())
        for name, value in columns.items():
            await world.db.execute(f"update endpoints set {name} = $2 where id = $1", id, value)
        return id

    return make


def fired(world, account, alert, **more):
    received = world.fired(account, **more)
    received.data.alert = f"alerts/{alert}"
    return received


async def test_no_more_than_the_rate_begin_however_many_workers(world, receiver, account, limited):
    await limited(rate_limit=20.0)
    first, second = await world.sender(), await world.sender()
    begun = world.clock.monotonic()
    for sender in (first, second):
        await world.tell(sender, *[world.fired(account) for _ in range(30)])
    await world.settled(60)
    lasted = world.clock.monotonic() - begun
    assert 20 * lasted + 20 + 1 >= 60
    assert len(receiver.arrivals) == 60


async def test_why_a_limited_one_waits_is_said(world, account, limited):
    await limited(rate_limit=0.01)
    sender = await world.sender()
    await world.tell(sender, *[world.fired(account) for _ in range(3)])
    await world.settled(1)

    async def told():
        ids = [row["message"] for row in await world.deliveries()]
        found = await messages.deliveries(world.db, ids)
        return sorted(one.shown_reason for [one] in found.values())

    async def both_wait():
        return await told() == ["ok", "rate_limited", "rate_limited"]

    await until(both_wait)


async def test_no_more_than_the_cap_are_under_way_with_two_workers(
    world, receiver, account, limited
):
    await limited(max_in_flight=3)
    flying = most = 0

    async def slow(arrival, writer):
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.01)
        flying -= 1
        return await behave.answer(200)(arrival, writer)

    receiver.paths["/"] = slow
    first, second = await world.sender(), await world.sender()
    for sender in (first, second):
        await world.tell(sender, *[world.fired(account) for _ in range(30)])
    await world.settled(60)
    assert 2 <= most <= 3
    assert len(receiver.arrivals) == 60


async def test_messages_of_a_key_go_out_one_after_the_other(world, receiver, account, limited):
    await limited(ordering=2, retry_delays=[0.02] * 5)
    failed = set()

    async def fails_at_first(arrival, writer):
        again = arrival.id in failed
        failed.add(arrival.id)
        return await behave.answer(200 if again else 500)(arrival, writer)

    receiver.paths["/"] = fails_at_first
    sender, other = await world.sender(), await world.sender()
    made = [fired(world, account, f"alr_{n % 3}", note=str(n)) for n in range(24)]
    await world.tell(sender, *made[:12])
    await world.tell(other, *made[12:])
    await world.settled(24)
    assert await world.states() == [DELIVERED] * 24
    for key in range(3):
        mine = [f'"note":"{n}"'.encode() for n in range(key, 24, 3)]
        arrived = [a.body for a in receiver.arrivals if f'"alerts/alr_{key}"'.encode() in a.body]
        assert [next(n for n in mine if n in body) for body in arrived] == [
            n for n in mine for _ in range(2)
        ]


async def test_a_key_goes_on_when_one_of_it_failed_for_good_or_expired(
    world, receiver, account, limited
):
    await limited(ordering=2, retry_delays=[0.01])
    receiver.paths["/"] = behave.in_turn(behave.answer(500), behave.answer(500), behave.answer(200))
    sender = await world.sender()
    await world.tell(
        sender,
        fired(world, account, "alr_1", note="fails"),
        fired(world, account, "alr_1", note="late", deliver_by=soon(-1)),
        fired(world, account, "alr_1", note="arrives"),
    )

    async def swept():
        await world.sweeps.run()
        sender.worker.wake()
        return all(state != PENDING for state in await world.states())

    await until(swept)
    rows = await world.db.fetch(
        "select d.state, convert_from(m.payload, 'utf8') as body from deliveries d"
        " join messages m on m.id = d.message order by d.order_number"
    )
    assert [row["state"] for row in rows] == [FAILED, EXPIRED, DELIVERED]
    assert '"arrives"' in rows[-1]["body"]


async def test_who_waits_for_an_earlier_one_says_so_and_costs_no_look(
    world, receiver, account, limited
):
    await limited(ordering=2)
    receiver.paths["/"] = behave.hang
    sender = await world.sender(limits=Limits(credit=16))
    await world.tell(sender, *[fired(world, account, "alr_1") for _ in range(3)])
    await receiver.wait_for(1)
    ids = [row["message"] for row in await world.deliveries()]
    found = await messages.deliveries(world.db, ids)
    reasons = sorted(one.shown_reason for [one] in found.values())
    assert reasons == ["sending", "waiting_order", "waiting_order"]
    assert await sender.worker.claim_once() is False
    assert await world.db.fetchval("select due = 'infinity' from lanes")
    assert len(receiver.arrivals) == 1


async def test_its_own_schedule_and_its_own_deadline(world, receiver, account, limited):
    await limited(retry_delays=[0.01], deliver_within=3600.0)
    receiver.paths["/"] = behave.answer(500)
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    [row] = await world.settled(1)
    assert (row["state"], row["attempt_count"]) == (FAILED, 2)
    assert abs((row["deliver_by"] - world.clock.now()).total_seconds() - 3600) < 60
