"""Holds within retention, and what is deleted after it."""

from __future__ import annotations

from datetime import timedelta

from services.delivery.handlers.retention import Retention
from services.delivery.sending.dispatcher import Limits
from tests.integration.delivery.world import DELIVERED, EXPIRED, PENDING

KEPT = timedelta(days=30)
AGE = (
    "update deliveries set due = due - interval '{0}' where due < 'infinity'",
    "update lanes set low_due = null where '{0}' <> ''",
    "update messages set create_time = create_time - interval '{0}'",
    "update deliveries set settle_time = settle_time - interval '{0}'",
)


async def age(world, interval):
    for statement in AGE:
        await world.db.execute(statement.format(interval))


async def pause(world, state):
    await world.db.execute("update endpoints set state = $1", state)
    await world.db.execute("update lanes set open = $1", state == 1)


async def test_what_is_held_waits_and_is_released_within_retention(world, receiver, account):
    await world.endpoint(account, receiver.url())
    await pause(world, 2)
    sender = await world.sender()
    await world.tell(sender, *[world.fired(account) for _ in range(3)])
    await age(world, "29 days")
    await Retention(world.db, KEPT).run()
    assert await world.states() == [PENDING] * 3
    await pause(world, 1)
    await world.settled(3)
    assert len(receiver.arrivals) == 3


async def test_past_retention_it_expires_is_told_of_and_then_deleted(world, receiver, account):
    await world.endpoint(account, receiver.url())
    sender = await world.sender(limits=Limits(credit=16))
    await world.tell(sender, world.fired(account))
    await world.settled(1)
    await pause(world, 2)
    await world.tell(sender, *[world.fired(account) for _ in range(3)])
    await world.db.execute("update endpoints set ordering = 2")
    for _ in range(2):
        await world.tell(sender, world.fired(account))  # of one key: the second is behind
    kept = Retention(world.db, KEPT)
    await age(world, "31 days")
    while await kept.expire_held():
        pass
    assert sorted(await world.states()) == [DELIVERED] + [EXPIRED] * 5
    assert [event.code for event in await world.events()][1:] == ["held_too_long"] * 5
    await kept.run()
    for table in ("messages", "deliveries", "attempts"):
        assert await world.db.fetchval(f"select count(*) from {table}") == 0


async def test_what_still_waits_keeps_its_message(world, receiver, account):
    await world.endpoint(account, receiver.url())
    await pause(world, 2)
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await world.db.execute("update messages set create_time = now() - interval '31 days'")
    await Retention(world.db, KEPT).run()
    assert await world.states() == [PENDING]
    assert await world.db.fetchval("select count(*) from messages") == 1
