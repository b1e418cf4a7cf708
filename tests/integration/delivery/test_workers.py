"""Leases: who holds them, who takes over, and what a late outcome may still do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.delivery.domain.model import DeliveryState
from services.delivery.domain.outcome import Attempted, Exchange, Verdict
from services.delivery.handlers.messages import Messages, NewMessage
from services.delivery.handlers.retention import Retention
from services.delivery.sending.dispatcher import Limits
from services.delivery.sending.intake import Intake
from services.delivery.store import endpoint_targets, lanes, leases, outcomes, workers
from services.delivery.store.leases import Lease
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.world import DELIVERED, FAILED, PENDING, until

SUCCESS = (Exchange("ok", 200), Verdict(DeliveryState.DELIVERED, "ok"))
FAILURE = (Exchange("timeout"), Verdict(DeliveryState.PENDING, "waiting_retry", 60.0))
LAST = (Exchange("timeout"), Verdict(DeliveryState.FAILED, "attempts_exhausted"))


async def test_a_killed_workers_deliveries_pass_to_another_with_the_same_id_and_body(
    world, receiver, account
):
    receiver.paths["/"] = behave.in_turn(behave.hang, behave.hang, behave.answer(200))
    await world.endpoint(account, receiver.url())
    first = await world.sender()
    await world.tell(first, world.fired(account), world.fired(account))
    await receiver.wait_for(2)
    await first.kill()
    assert all(row["worker"] is not None for row in await world.deliveries())
    second = await world.sender()

    async def taken_over() -> bool:
        if await world.sweeps.run():
            second.worker.wake()
        return len(receiver.arrivals) == 4

    await until(taken_over)
    rows = await world.settled(2)
    assert [row["state"] for row in rows] == [DELIVERED, DELIVERED]
    before, after = receiver.arrivals[:2], receiver.arrivals[2:]
    assert {(a.id, a.body) for a in before} == {(a.id, a.body) for a in after}
    assert await world.db.fetchval("select count(*) from workers") == 1


async def test_a_worker_whose_heart_beats_keeps_its_leases(world, receiver, account):
    go_on = asyncio.Event()
    receiver.paths["/"] = behave.held(go_on, behave.answer(200))
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await receiver.wait_for(1)
    begun = world.clock.monotonic()
    while world.clock.monotonic() - begun < 2 * world.pace.lifetime:
        assert await world.sweeps.run() == 0
        await asyncio.sleep(0.05)
    go_on.set()
    await world.settled()
    assert len(receiver.arrivals) == 1


async def test_a_worker_taken_for_dead_sends_nothing_more_and_starts_anew(world, receiver, account):
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    sender.worker._held_until = 0.0  # its last heartbeat is long ago
    beating = sender._tasks[0]
    beating.cancel()
    await world.db.execute("update workers set heartbeat_time = now() - interval '1 hour'")
    await world.tell(sender, world.fired(account))
    assert [row["worker"] for row in await world.deliveries()] == [None]
    # The server has been up for less than an hour, so the silence counts from its start.
    await until(lambda: _retired(world))
    assert receiver.arrivals == []
    sender._tasks[0] = asyncio.create_task(sender.worker.beat())
    await world.settled()
    assert len(receiver.arrivals) == 1


async def test_a_message_is_not_leased_to_a_worker_that_is_gone(world, receiver, account):
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    made = Messages(
        world.db, world.vault, Intake(world.vault, sender.worker), world.clock, world.ids
    )
    asked = NewMessage(account, "custom.a", "{}")
    for task in sender._tasks[:2]:  # it believes itself alive, and takes nothing by itself
        task.cancel()
    await world.db.execute("delete from workers")
    [message] = await made.create([asked])
    [row] = await world.deliveries()
    assert (row["message"], row["worker"]) == (message.id, None)
    await world.sender()
    await world.settled()
    assert len(receiver.arrivals) == 1


async def test_what_is_made_twice_under_a_request_id_is_one(world, receiver, account):
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    made = Messages(
        world.db, world.vault, Intake(world.vault, sender.worker), world.clock, world.ids
    )
    asked = NewMessage(account, "custom.a", "{}", request_id="r")
    [first] = await made.create([asked])
    both = await made.create([asked, NewMessage(account, "custom.a", "{}")])
    assert both[0].id == first.id
    await world.settled(2)
    assert len(receiver.arrivals) == 2


async def _retired(world) -> bool:
    await world.sweeps.run()
    return await world.db.fetchval("select count(*) from workers") == 0


@pytest.fixture
async def two_leases(world, account):
    """A delivery that a second worker leased while the first still thinks it holds it."""
    await world.endpoint(account, "http://127.0.0.1:65535/")
    id = world.ids.uuid()
    await workers.register(world.db, id, "test")
    [target] = await endpoint_targets.of_accounts(world.db, world.vault, [account])
    held = []
    sender = await world.sender(limits=Limits(capacity=0))
    await world.tell(sender, world.fired(account))
    for _ in range(2):
        await world.db.execute("update deliveries set worker = null, lease = null, due = now()")
        await world.db.execute("update lanes set due = now()")
        async with world.db.transaction() as tx:
            [endpoint] = await lanes.lock_ripe(tx, [], 10)
            lease = Lease(id, world.ids.uuid())
            held += await leases.claim(tx, world.vault, lease, {endpoint: 1})
    assert held[0].target == target
    assert len(held) == 2
    return held


async def _record(world, *pairs):
    done = []
    for leased, (exchange, verdict) in pairs:
        attempted = Attempted(
            id=world.ids.uuid(),
            delivery=leased,
            start_time=datetime.now(UTC),
            duration=timedelta(seconds=1),
            exchange=exchange,
            verdict=verdict,
        )
        done.append(attempted)
        async with world.db.transaction() as tx:
            settled = await outcomes.record(tx, [attempted])
    return settled, done


async def test_a_late_failure_adds_an_attempt_and_changes_nothing(world, two_leases):
    stale, live = two_leases
    settled, _ = await _record(world, (stale, LAST))
    assert settled == []
    [row] = await world.deliveries()
    assert (row["state"], row["lease"], row["attempt_count"]) == (PENDING, live.lease, 1)
    settled, _ = await _record(world, (live, SUCCESS))
    assert [end.state for end in settled] == [DELIVERED]
    settled, _ = await _record(world, (stale, LAST))
    assert settled == []
    [row] = await world.deliveries()
    assert (row["state"], row["attempt_count"]) == (DELIVERED, 3)
    assert [a["number"] for a in await world.attempts()] == [1, 2, 3]


async def test_a_late_success_settles_what_is_not_settled(world, two_leases):
    stale, live = two_leases
    settled, _ = await _record(world, (stale, SUCCESS))
    assert [end.state for end in settled] == [DELIVERED]
    settled, _ = await _record(world, (live, FAILURE))
    assert settled == []
    [row] = await world.deliveries()
    assert (row["state"], row["due"], row["worker"]) == (DELIVERED, None, None)


async def test_a_late_success_after_the_end_is_but_an_attempt(world, two_leases):
    stale, live = two_leases
    await _record(world, (live, LAST))
    settled, _ = await _record(world, (stale, SUCCESS))
    assert settled == []
    assert await world.states() == [FAILED]


async def test_a_batch_whose_commit_was_in_doubt_is_recorded_once(world, two_leases):
    _, live = two_leases
    _, [attempted] = await _record(world, (live, FAILURE))
    async with world.db.transaction() as tx:
        assert await outcomes.record(tx, [attempted]) == []
    [row] = await world.deliveries()
    assert row["attempt_count"] == 1
    assert len(await world.attempts()) == 1


async def test_a_lease_whose_commit_was_in_doubt_is_found_and_given_back(world, receiver, account):
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    lost = world.fired(account)
    async with world.db.transaction() as tx:
        await sender.tell(tx, [lost])
        tx._callbacks.clear()  # committed, but the answer never came
    await world.settled()
    assert len(receiver.arrivals) == 1


async def test_a_hanging_receiver_does_not_starve_a_healthy_one(world, receiver, account):
    receiver.paths["/hangs"] = behave.hang
    hanging, healthy = account, world.ids.uuid()
    await world.endpoint(hanging, receiver.url("/hangs"))
    await world.endpoint(healthy, receiver.url("/well"))
    sender = await world.sender(deadline=30.0, limits=Limits(slots=20, credit=16))
    await world.tell(sender, *[world.fired(hanging) for _ in range(200)])
    await receiver.wait_for(16, "/hangs")
    await world.tell(sender, *[world.fired(healthy) for _ in range(100)])
    await receiver.wait_for(100, "/well")
    assert len(receiver.at("/hangs")) == 16


async def test_one_that_answered_well_and_then_hangs_holds_its_credit_and_no_more(
    world, receiver, account
):
    receiver.paths["/turns"] = behave.in_turn(*[behave.answer(200)] * 30, behave.hang)
    healthy = world.ids.uuid()
    await world.endpoint(account, receiver.url("/turns"))
    await world.endpoint(healthy, receiver.url("/well"))
    sender = await world.sender(deadline=30.0, limits=Limits(slots=20, credit=16))
    await world.tell(sender, *[world.fired(account) for _ in range(30)])
    await world.settled(30)
    await world.tell(sender, *[world.fired(account) for _ in range(200)])
    await receiver.wait_for(46, "/turns")
    await world.tell(sender, *[world.fired(healthy) for _ in range(100)])
    await receiver.wait_for(100, "/well")
    assert len(receiver.at("/turns")) == 46


async def test_silence_counts_from_the_start_of_the_server(world):
    """After a restart of the database every heartbeat looks old, and nobody is dead."""
    await workers.register(world.db, world.ids.uuid(), "test")
    await world.db.execute("update workers set heartbeat_time = now() - interval '1 year'")
    day = 86400.0
    async with world.db.transaction() as tx:
        assert await workers.lock_dead(tx, day) == []


async def test_slots_that_time_out_go_to_others_and_come_back_with_success(
    world, receiver, account
):
    """An endpoint that stops answering loses its credit; once it answers it has it again."""
    open_again = asyncio.Event()

    async def until_open(arrival, writer):
        if open_again.is_set():
            return await behave.answer(200)(arrival, writer)
        return await behave.hang(arrival, writer)

    receiver.paths["/"] = until_open
    endpoint = await world.endpoint(account, receiver.url())
    sender = await world.sender(deadline=0.2)
    await world.tell(sender, *[world.fired(account) for _ in range(16)])
    await until(lambda: sender.dispatcher._flows[endpoint].cap == 1)
    open_again.set()
    await world.settled(16)
    assert set(await world.states()) == {DELIVERED}
    assert sender.dispatcher._flows[endpoint].cap > 1


async def test_a_drain_finishes_what_is_under_way_and_repeats_nothing(world, receiver, account):
    go_on = asyncio.Event()
    receiver.paths["/"] = behave.held(go_on, behave.answer(200))
    await world.endpoint(account, receiver.url())
    first = await world.sender(limits=Limits(credit=4, ahead=0))
    await world.tell(first, *[world.fired(account) for _ in range(20)])
    await receiver.wait_for(4)
    draining = asyncio.create_task(first.worker.drain())
    await world.tell(first, world.fired(account))  # a consumer that is not yet stopped
    go_on.set()
    await draining
    rows = await world.deliveries()
    assert [row["state"] for row in rows].count(DELIVERED) == 4
    assert all(row["worker"] is None for row in rows)
    assert await world.db.fetchval("select count(*) from workers") == 0
    await world.sender()
    await world.settled(21)
    ids = [arrival.id for arrival in receiver.arrivals]
    assert len(ids) == len(set(ids)) == 21


async def test_many_messages_for_one_endpoint_all_arrive_once(world, receiver, account):
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    other = await world.sender()
    for at in range(4):
        await world.tell((sender, other)[at % 2], *[world.fired(account) for _ in range(250)])
    await world.settled(1000)
    ids = [arrival.id for arrival in receiver.arrivals]
    assert len(ids) == len(set(ids)) == 1000
    assert len(await world.events()) == 1000


async def test_a_database_that_goes_away_delays_and_loses_nothing(world, receiver, account):
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await world.db.execute("select 1")
    others = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    for _ in range(5):
        await world.tell(sender, *[world.fired(account) for _ in range(20)])
        await world.db.fetch(others)
    await world.settled(101)
    assert {arrival.id for arrival in receiver.arrivals} == {
        event.message.removeprefix("messages/") for event in await world.events()
    }
    assert len(await world.events()) == 101


async def test_what_waits_is_found_whatever_the_lane_knew_of_it(world, receiver, account):
    """Lanes remember before when nothing is due. What is given back, and lanes that are older than
    this memory, are found all the same."""
    await world.endpoint(account, receiver.url())
    sender = await world.sender(limits=Limits(capacity=0))
    await world.tell(sender, *[world.fired(account) for _ in range(3)])
    await world.db.execute("update lanes set low_due = null")
    await world.db.execute("update deliveries set due = now() - interval '1 hour'")
    await world.tell(sender, world.fired(account))
    assert await world.db.fetchval("select low_due from lanes") is None
    id = world.ids.uuid()
    await workers.register(world.db, id, "test")
    [endpoint] = [row["endpoint"] for row in await world.db.fetch("select endpoint from lanes")]

    async def claim(room):
        async with world.db.transaction() as tx:
            await lanes.lock_ripe(tx, [], 10)
            lease = Lease(id, world.ids.uuid())
            return await leases.claim(tx, world.vault, lease, {endpoint: room})

    held = await claim(3)
    assert len(held) == 3
    assert await world.db.fetchval("select low_due > now() - interval '1 minute' from lanes")
    async with world.db.transaction() as tx:
        await leases.release(tx, held)
    assert len(await claim(10)) == 4


async def test_a_lane_that_is_opened_is_due_from_then_on(world, receiver, account):
    await world.endpoint(account, receiver.url())
    sender = await world.sender(limits=Limits(capacity=0))
    await world.db.execute("update lanes set open = false")
    await world.tell(sender, world.fired(account))
    await world.db.execute("update lanes set due = now() - interval '1 day'")
    low = await lanes.low_water(world.db)
    await world.db.execute("update lanes set open = true")
    async with world.db.transaction() as tx:
        assert len(await lanes.lock_ripe(tx, [], 10, low)) == 1


async def test_a_lane_that_hides_something_is_healed(world, receiver, account):
    """As after an update, when the version before gave back what it held and knew of no memory."""
    await world.endpoint(account, receiver.url())
    sender = await world.sender(limits=Limits(capacity=0))
    await world.tell(sender, world.fired(account))
    await world.db.execute("update lanes set low_due = now() + interval '1 hour', due = null")
    await Retention(world.db, timedelta(days=30)).run()
    assert await world.db.fetchval("select low_due is null and due <= now() from lanes")
    await sender.kill()
    await world.sender()
    await world.settled()
