"""What a failure of a handler leads to, on both engines."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence

import pytest

from libs.clock import SystemClock
from libs.db import Tx
from libs.errors import AppError, Kind, invalid
from libs.events import Consumer, Outbox, Partition, Poison, Received
from libs.events.store_letters import letters, waiting_letters
from libs.ids import Ids
from pq.accounts.v1.accounts_events_pb2 import AccountChanged
from tests.contract.events.world import (
    OPTIONS,
    World,
    count,
    event,
    handled,
    publish,
    until,
    until_handled,
    value_of,
    writing,
)


class Fault:
    """A handler that raises for some values, until it is repaired."""

    def __init__(self, values: set[int], error: BaseException) -> None:
        self.values = values
        self.error = error
        self.raised = 0
        self._write = writing("test.one")

    async def __call__(self, tx: Tx, batch: Sequence[Received[AccountChanged]]) -> None:
        await self._write(tx, batch)
        if self.values & {value_of(received) for received in batch}:
            self.raised += 1
            raise self.error


async def halts(consumer: Consumer) -> dict[Partition, str]:
    return {s.partition: s.halt for s in await consumer.status() if s.halt}


@pytest.mark.parametrize("error", [Poison("never"), invalid("price", "is negative")])
async def test_poison_becomes_a_dead_letter_and_the_rest_goes_on(
    here: World, error: Exception
) -> None:
    """In the database and in the dead letter queue; driven again once the handler is repaired."""
    db, log = await here.service(), here.log()
    here.relay(db, log)
    fault = Fault({7}, error)
    await publish(db, *(event("k", value) for value in range(20)))
    consumer = here.consumer(db, log, handler=fault)
    await until_handled(db, 19)
    assert (await handled(db))["accounts/k"] == [v for v in range(20) if v != 7]
    (letter,) = await letters(db)
    assert letter.consumer == "test.one"
    assert str(error) in letter.error
    assert await waiting_letters(db) == 1

    async def in_queue() -> bool:
        ends = await log.ranges([here.topic + ".dlq"])
        return sum(found.end for found in ends.values()) == 1

    await until(in_queue)
    assert await halts(consumer) == {}

    with pytest.raises((AppError, Poison)):
        await consumer.redrive(letter.id)
    fault.values = set()
    redriven = await consumer.redrive(letter.id)
    assert redriven.redrive_time is not None
    assert (await handled(db))["accounts/k"][-1] == 7
    assert await waiting_letters(db) == 0
    with pytest.raises(AppError) as again:
        await consumer.redrive(letter.id)
    assert again.value.kind is Kind.PRECONDITION
    with pytest.raises(AppError) as missing:
        await consumer.redrive(uuid.uuid4())
    assert missing.value.kind is Kind.NOT_FOUND


async def test_too_many_dead_letters_halt_the_partition(here: World) -> None:
    """The limit is durable: a restart of the consumer does not give it another share."""
    options = dataclasses.replace(OPTIONS, dead_letter_limit=3)
    db, log = await here.service(), here.log()
    here.relay(db, log)
    fault = Fault(set(range(100)), Poison("all of them"))
    await publish(db, *(event("k", value) for value in range(10)))
    consumer = here.consumer(db, log, handler=fault, options=options)

    async def halted() -> bool:
        return bool(await halts(consumer))

    await until(halted)
    assert await waiting_letters(db) == 3
    consumer.task.cancel()  # type: ignore[attr-defined]
    raised = fault.raised
    consumer = here.consumer(db, log, handler=fault, options=options)

    async def tried_again() -> bool:
        return fault.raised > raised and await halted()

    await until(tried_again)
    assert await waiting_letters(db) == 3
    fault.values = set()
    ((where, reason),) = (await halts(consumer)).items()
    assert "dead letters" in reason
    await consumer.resume(where.topic, where.number)
    await until_handled(db, 7)
    assert await halts(consumer) == {}
    with pytest.raises(AppError):
        await consumer.resume(where.topic, where.number)


async def test_an_unknown_fault_halts_its_partition_and_no_other(here: World) -> None:
    """Loudly; what came before it is done; and it goes on when a person says so."""
    db, log = await here.service(), here.log()
    here.relay(db, log)
    fault = Fault({1007}, ZeroDivisionError("a bug"))
    keys = [f"k{number}" for number in range(8)]
    await publish(db, *(event(key, value) for value in range(10) for key in keys))
    await publish(db, *(event("k0", value) for value in range(1000, 1015)))
    consumer = here.consumer(db, log, handler=fault)

    async def halted() -> dict[Partition, str]:
        return await halts(consumer)

    ((where, reason),) = (await until(halted)).items()
    assert "ZeroDivisionError: a bug" in reason
    for key in keys:
        await publish(db, event(key, 10))

    async def others_go_on() -> bool:
        done = await handled(db)
        lag = {s.partition: s.lag for s in await consumer.status()}
        return all(lag[p] == 0 for p in lag if p != where) and lag[where] > 0 and bool(done)

    await until(others_go_on)
    assert (await handled(db))["accounts/k0"] == [*range(10), *range(1000, 1007)]
    assert await waiting_letters(db) == 0
    fault.values = set()
    await consumer.resume(where.topic, where.number)
    await until_handled(db, 8 * 11 + 15)
    found = await handled(db)
    assert found["accounts/k0"] == [*range(10), *range(1000, 1015), 10]
    assert all(found[f"accounts/{key}"] == list(range(11)) for key in keys[1:])


async def test_a_transient_fault_is_retried_in_place(here: World) -> None:
    """In order, without a dead letter, while other partitions go on."""
    db, log = await here.service(), here.log()
    here.relay(db, log)
    fault = Fault({3}, ConnectionError("the database went away"))
    await publish(db, *(event("k0", value) for value in range(10)))
    here.consumer(db, log, handler=fault)

    async def failed_often() -> bool:
        return fault.raised >= 4

    await until(failed_often)
    for number in range(8):
        await publish(db, event(f"o{number}", 50))

    async def others_go_on() -> bool:
        return len(await handled(db)) >= 5

    await until(others_go_on)
    fault.values = set()
    await until_handled(db, 18)
    assert (await handled(db))["accounts/k0"] == list(range(10))
    assert await waiting_letters(db) == 0


async def test_the_position_is_moved_by_compare_and_set(here: World) -> None:
    """A member that lost its partition and does not know it cannot handle anything again."""
    db, log = await here.service(), here.log()
    here.relay(db, log)
    other = await here.connect(db.dsn)  # type: ignore[attr-defined]
    consumer = here.consumer(db, log)
    await publish(db, *(event("k", value) for value in range(5)))
    await until_handled(db, 5)
    # Somebody else has handled 5 to 9 of the same partition meanwhile.
    (where,) = [s.partition for s in await consumer.status() if s.position]
    await other.execute(
        "update event_positions set position = position + 5 where topic = $1 and partition = $2",
        where.topic,
        where.number,
    )
    await publish(db, *(event("k", value) for value in range(5, 12)))
    await until_handled(db, 7)
    assert (await handled(db))["accounts/k"] == [0, 1, 2, 3, 4, 10, 11]


async def test_a_position_that_is_not_in_the_log_is_a_loud_stop(here: World) -> None:
    """Never a silent reset; whoever resumes it accepts the gap and starts at the beginning."""
    db, log = await here.service(), here.log()
    here.relay(db, log)
    first = here.consumer(db, log)
    await publish(db, *(event("k", value) for value in range(5)))
    await until_handled(db, 5)
    first.task.cancel()  # type: ignore[attr-defined]
    await db.execute("update event_positions set position = 1000 where position > 0")
    await db.execute("truncate event_inbox, handled")
    consumer = here.consumer(db, log)

    async def halted() -> dict[Partition, str]:
        return await halts(consumer)

    ((where, reason),) = (await until(halted)).items()
    assert "position 1000 is not in the log" in reason
    assert await count(db) == 0
    await consumer.resume(where.topic, where.number)
    await until_handled(db, 5)


async def test_bytes_that_are_no_message_are_a_dead_letter(here: World) -> None:
    """The payload of another type, say."""
    db, log = await here.service(), here.log()
    make = Outbox(here.catalog, "/pq/test", Ids(SystemClock()), SystemClock())
    good = [make.encode(event("k", value)) for value in range(2)]
    bad = dataclasses.replace(make.encode(event("k", 9)), payload=b"\xff\xff\xff")
    relay = await log.produce(uuid.uuid4())
    await relay.append([good[0], bad, good[1]])
    await relay.close()
    here.consumer(db, log)
    await until_handled(db, 2)
    (letter,) = await letters(db)
    assert letter.record.payload == b"\xff\xff\xff"
