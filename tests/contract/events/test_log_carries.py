"""What both engines must do while all is well."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import pytest

from libs.clock import SystemClock
from libs.errors import AppError, Kind
from libs.events import Broadcast, Catalog, EventSpec, Outbox, Start
from libs.events.log import (
    FencedError,
    Log,
    LogUnavailableError,
    PartitionCountError,
    Producer,
)
from libs.events.outbox import MAX_PAYLOAD, slots
from libs.events.record import Record
from libs.ids import Ids
from libs.obs import tracing
from pq.accounts.v1.accounts_events_pb2 import AccountChanged
from tests.contract.events.world import (
    World,
    count,
    event,
    handled,
    publish,
    until,
    until_handled,
    until_sent,
    value_of,
    writing,
)


async def test_every_event_arrives_once_and_in_the_order_of_its_key(here: World) -> None:
    """From publish() to a handler's committed transaction."""
    producer, consumer = await here.service(), await here.service()
    log = here.log()
    here.relay(producer, log)
    here.consumer(consumer, log)
    for value in range(20):
        await publish(producer, *(event(f"k{key}", value) for key in range(10)))
    await until_handled(consumer, 200)
    assert await handled(consumer) == {f"accounts/k{key}": list(range(20)) for key in range(10)}
    await until_sent(producer)


async def test_a_transaction_still_open_while_later_ids_commit_loses_nothing(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has lower ids than what was sent meanwhile; the low-water mark waits for it."""
    monkeypatch.setattr("libs.events.relay.MARK_EVERY", 0.0)
    db = await here.service()
    log = here.log()
    here.relay(db, log)
    here.consumer(db, log)
    outbox = db.outbox
    assert isinstance(outbox, Outbox)
    slow, quick = outbox.encode(event("slow", 0)), event("quick", 0)
    assert slots([slow]) != slots([outbox.encode(quick)])
    async with db.acquire() as connection:
        held = connection.transaction()
        await held.start()
        await outbox.write(connection, [slow])
        for value in range(5):
            await publish(db, event("quick", value))
            await until_handled(db, value + 1)
        # The same key waits for the one that is open: it would overtake it otherwise.
        next_of_slow = asyncio.ensure_future(publish(db, event("slow", 1)))
        await until_sent(db)
        assert not next_of_slow.done()
        await held.commit()
    await next_of_slow
    await until_handled(db, 7)
    assert await handled(db) == {"accounts/quick": list(range(5)), "accounts/slow": [0, 1]}


async def test_what_rolls_back_is_not_sent(here: World) -> None:
    """Neither a transaction's events, nor a savepoint's."""
    db = await here.service()
    log = here.log()
    here.relay(db, log)
    here.consumer(db, log)
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            tx.publish(event("a", 1))
            raise ZeroDivisionError
    async with db.transaction() as tx:
        tx.publish(event("a", 2))
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                tx.publish(event("a", 3))
                raise ZeroDivisionError
    await until_handled(db, 1)
    assert await handled(db) == {"accounts/a": [2]}


async def test_a_record_over_the_limit_is_refused_at_publish(here: World) -> None:
    """The log would choke on it; the largest that is allowed goes through."""
    db = await here.service()
    log = here.log()
    here.relay(db, log)
    sizes: list[int] = []

    async def measure(tx: object, batch: list[object]) -> None:
        sizes.extend(len(received.record.payload) for received in batch)  # type: ignore[attr-defined]

    here.consumer(db, log, handler=measure)  # type: ignore[arg-type]
    huge = event("k", 0)
    huge.change_time.CopyFrom(event("k", 1).change_time)
    padded = AccountChanged.FromString(huge.SerializeToString() + _unknown(MAX_PAYLOAD))
    with pytest.raises(AppError) as caught:
        await publish(db, padded)
    assert caught.value.kind is Kind.TOO_LARGE
    allowed = AccountChanged.FromString(huge.SerializeToString() + _unknown(MAX_PAYLOAD - 64))
    await publish(db, allowed)

    async def arrived() -> bool:
        return bool(sizes)

    await until(arrived)
    assert sizes == [allowed.ByteSize()]
    assert sizes[0] > MAX_PAYLOAD - 64


async def test_another_partition_count_than_the_contract_is_refused(here: World) -> None:
    """Else one key's events would be in two partitions."""
    await here.log().ranges([here.topic])
    spec = here.catalog.specs[0]
    other = Catalog([EventSpec(spec.topic, spec.key_field, 5, spec.message)])
    with pytest.raises(PartitionCountError, match="4 partitions in the log, 5 by contract"):
        await here.log(other).ranges([here.topic])


async def test_a_predecessors_late_append_does_not_land(here: World) -> None:
    """The epoch of the newer relay keeps it out."""
    log, source = here.log(), uuid.uuid4()
    make = Outbox(here.catalog, "/pq/test", Ids(SystemClock()), SystemClock())
    first, second = make.encode(event("k", 1)), make.encode(event("k", 2))
    old = await log.produce(source)
    await old.append([first])
    new = await log.produce(source)
    await new.append([second])
    with pytest.raises(FencedError):
        await old.append([first])
    await new.append([second])
    ends = await log.ranges([here.topic])
    assert sum(found.end for found in ends.values()) == 3
    await old.close()
    await new.close()


async def test_what_the_log_has_twice_is_handled_once(here: World) -> None:
    """In one batch, and long after: a relay that died between append and delete sends again."""
    db, log = await here.service(), here.log()
    make = Outbox(here.catalog, "/pq/test", Ids(SystemClock()), SystemClock())
    records = [make.encode(event("k", value)) for value in range(4)]
    relay = await log.produce(uuid.uuid4())
    await relay.append([*records[:2], *records[:3]])
    here.consumer(db, log)
    await until_handled(db, 3)
    await relay.append([*records[1:], records[0]])
    await relay.append([make.encode(event("k", 4))])
    await relay.close()
    await until_handled(db, 5)
    assert await handled(db) == {"accounts/k": [0, 1, 2, 3, 4]}


class Unlucky:
    """A log whose first appends fail: before they land, and after."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.fates = ["before", "after", "before", "after"]

    async def produce(self, source: uuid.UUID) -> Producer:
        producer, fates = await self._log.produce(source), self.fates
        append = producer.append

        async def unlucky(records: Sequence[Record]) -> None:
            fate = fates.pop() if fates else ""
            if fate == "before":
                raise LogUnavailableError("it did not land")
            await append(records)
            if fate == "after":
                raise LogUnavailableError("it landed, but nobody knows")

        producer.append = unlucky  # type: ignore[method-assign]
        return producer


async def test_an_append_that_fails_is_made_again(here: World) -> None:
    """With everything after it, in order, whether it had landed or not."""
    db, log = await here.service(), here.log()
    unlucky = Unlucky(log)
    relay = here.relay(db, unlucky)  # type: ignore[arg-type]
    here.consumer(db, log)
    for value in range(10):
        await publish(db, event("k", value))
        if value < 5:
            await until_handled(db, value + 1)
    await until_handled(db, 10)
    assert unlucky.fates == []
    assert await handled(db) == {"accounts/k": list(range(10))}
    ends = await log.ranges([here.topic])
    assert sum(found.end for found in ends.values()) > 10
    assert relay.relaying


async def test_headers_and_trace_come_along(here: World) -> None:
    """What a handler publishes belongs to the trace of what it handles."""
    db, log = await here.service(), here.log()
    here.relay(db, log)
    seen: list[Record] = []
    traces: list[str] = []

    async def look(tx: object, batch: list[object]) -> None:
        seen.extend(received.record for received in batch)  # type: ignore[attr-defined]
        found = tracing.current()
        assert found is not None
        traces.append(found.trace_id)

    here.consumer(db, log, handler=look)  # type: ignore[arg-type]
    with tracing.span("test") as span:
        async with db.transaction() as tx:
            id = tx.publish(event("k", 1), headers={"x-note": "grüß"})

    async def arrived() -> bool:
        return bool(seen)

    await until(arrived)
    (record,) = seen
    assert (record.id, record.source, record.key) == (id, "/pq/test", "accounts/k")
    assert record.type == "pq.accounts.v1.AccountChanged"
    assert record.headers == {"x-note": "grüß", "traceparent": span.context.traceparent}
    assert traces == [span.context.trace_id]


async def test_a_broadcast_reaches_every_reader(here: World) -> None:
    """From the beginning, or from now; and it knows how fresh it is."""
    db, log = await here.service(), here.log()
    here.relay(db, log)
    here.consumer(db, log)
    await publish(db, *(event(f"k{value}", value) for value in range(10)))
    await until_handled(db, 10)
    everything = Broadcast(log, AccountChanged, Start.BEGINNING)
    news = [Broadcast(here.log(), AccountChanged), Broadcast(log, AccountChanged)]
    assert news[0].age() == float("inf")
    got: dict[int, list[int]] = {0: [], 1: [], 2: []}

    async def take(number: int, feed: Broadcast[AccountChanged]) -> None:
        async for batch in feed:
            got[number].extend(value_of(received) for received in batch)

    for number, feed in enumerate([everything, *news]):
        here.run(take(number, feed))

    async def fresh() -> bool:
        return all(feed.age() < 5 for feed in [everything, *news])

    await until(fresh, what="all readers know that they have everything")
    await publish(db, *(event(f"k{value}", value) for value in range(10, 20)))

    async def all_arrived() -> bool:
        return [len(got[number]) for number in range(3)] == [20, 10, 10]

    await until(all_arrived)
    assert sorted(got[0]) == list(range(20))
    assert sorted(got[1]) == sorted(got[2]) == list(range(10, 20))


async def test_a_new_consumer_starts_at_the_beginning(here: World) -> None:
    """Not with what comes after it joined."""
    db, log = await here.service(), here.log()
    here.relay(db, log)
    here.consumer(db, log)
    await publish(db, *(event("k", value) for value in range(10)))
    await until_handled(db, 10)
    here.consumer(db, log, name="test.late")
    await until_handled(db, 10, "test.late")


async def test_two_consumers_share_and_one_takes_over(here: World) -> None:
    """Rebalance: nothing is lost or handled twice when members come and go."""
    db = await here.service()
    here.relay(db, here.log())
    seen: dict[int, set[str]] = {0: set(), 1: set()}
    consumers = [
        here.consumer(await here.connect(db.dsn), here.log(), handler=_noting(seen[number]))  # type: ignore[attr-defined]
        for number in range(2)
    ]
    sent = 0

    async def both_work() -> bool:
        nonlocal sent
        await publish(db, *(event(f"k{key}", sent) for key in range(20)))
        sent += 1
        return bool(seen[0] and seen[1])

    await until(both_work)
    consumers[0].task.cancel()  # type: ignore[attr-defined]
    for _ in range(3):
        await publish(db, *(event(f"k{key}", sent) for key in range(20)))
        sent += 1
    await until_handled(db, 20 * sent)
    assert await handled(db) == {f"accounts/k{key}": list(range(sent)) for key in range(20)}
    standing = await consumers[1].status()
    assert [s.lag for s in standing] == [0] * 4
    assert await count(db) == 20 * sent


def _noting(keys: set[str]) -> object:
    write = writing("test.one")

    async def handle(tx: object, batch: list[object]) -> None:
        keys.update(received.record.key for received in batch)  # type: ignore[attr-defined]
        await write(tx, batch)  # type: ignore[arg-type]

    return handle


def _unknown(size: int) -> bytes:
    """A field that the message does not know, of so many bytes."""
    length, head = size, bytearray(b"\xfa\x3e")  # field 1007, length-delimited
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + b"x" * size
