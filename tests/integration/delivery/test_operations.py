"""SendingService over gRPC: messages of one's own, again, off, and why not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from libs.api.paging import PageTokens
from libs.api.wire import resource_name
from libs.auth import Role
from libs.errors import AppError, Kind
from libs.testing.rpc import account as as_account
from libs.testing.rpc import operator, serving
from pq.delivery.v1 import delivery_pb2 as shared
from pq.delivery.v1 import delivery_pb2_grpc, operations_pb2_grpc
from pq.delivery.v1 import operations_pb2 as pb
from services.delivery.domain.model import DeliveryState
from services.delivery.handlers.insight import Insight
from services.delivery.handlers.messages import Messages
from services.delivery.handlers.operations import Operations
from services.delivery.sending.intake import Intake
from services.delivery.servicer.messages import MessageServicer
from services.delivery.servicer.sending import SendingServicer
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.world import (
    CANCELLED,
    DELIVERED,
    EXPIRED,
    FAILED,
    PENDING,
    until,
)

OTHER = UUID("01900000-0000-7000-8000-000000000002")


@asynccontextmanager
async def served(world, sender):
    tokens = PageTokens(bytes(32), world.clock)
    world.operations = Operations(world.db, world.vault, sender.worker, world.clock, world.ids)
    servicer = SendingServicer(
        world.db,
        Messages(world.db, world.vault, Intake(world.vault, sender.worker), world.clock, world.ids),
        world.operations,
        Insight(world.db, world.clock),
        tokens,
        world.clock,
    )
    async with serving(
        (operations_pb2_grpc.add_SendingServiceServicer_to_server, servicer),
        (
            delivery_pb2_grpc.add_MessageServiceServicer_to_server,
            MessageServicer(world.db, tokens),
        ),
    ) as server:
        yield server


@pytest.fixture
async def sender(world):
    return await world.sender()


@pytest.fixture
async def server(world, sender):
    async with served(world, sender) as made:
        yield made


@pytest.fixture
def sending(server, account):
    return operations_pb2_grpc.SendingServiceStub(server.channel(as_account(account)))


@pytest.fixture
def reading(server, account):
    return delivery_pb2_grpc.MessageServiceStub(server.channel(as_account(account)))


def create(payload: str = "{}", request_id: str = "", **fields) -> pb.CreateMessageRequest:
    message = shared.Message(**{"event_type": "custom.hello", "payload": payload, **fields})
    return pb.CreateMessageRequest(message=message, request_id=request_id)


def ago(world, **delta) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(world.clock.now() - timedelta(**delta))
    return stamp


async def set_open(world, open: bool) -> None:
    async with world.db.transaction() as tx:
        await tx.execute("update endpoints set state = $1", 1 if open else 2)
        await tx.execute("update lanes set open = $1", open)


async def refused(call) -> AppError:
    with pytest.raises(AppError) as caught:
        await call
    return caught.value


async def finished(world, sending, operation):
    async def done():
        await world.operations.run()
        found = await sending.GetDeliveryOperation(
            pb.GetDeliveryOperationRequest(name=operation.name)
        )
        return found.state != pb.DELIVERY_OPERATION_STATE_RUNNING

    await until(done)
    return await sending.GetDeliveryOperation(pb.GetDeliveryOperationRequest(name=operation.name))


async def test_a_message_of_ones_own_arrives_byte_for_byte(world, receiver, account, sending):
    await world.endpoint(account, receiver.url())
    body = '{"b": 1.10,\n "a": [1e3, "ä"]}'
    made = await sending.CreateMessage(create(body))
    [arrival] = await receiver.wait_for(1)
    assert arrival.body == body.encode()
    assert made.name == f"messages/{arrival.id}"
    await world.settled(1)


async def test_a_repeat_is_the_same_message_and_other_words_are_refused(
    world, receiver, account, sending
):
    await world.endpoint(account, receiver.url())
    first = await sending.CreateMessage(create("[1]", "a"))
    assert (await sending.CreateMessage(create("[1]", "a"))).name == first.name
    error = await refused(sending.CreateMessage(create("[2]", "a")))
    assert (error.kind, error.reason) == (Kind.UNPROCESSABLE, "request_id_reused")
    await world.settled(1)
    assert len(receiver.arrivals) == 1


async def test_of_a_batch_each_has_its_own_result(world, receiver, account, sending):
    await world.endpoint(account, receiver.url())
    asked = [
        create("[1]", "same"),
        create("[1"),
        create("[2]", event_type="alert.trigered"),
        create("[1]", "same"),
        create("[3]", coalesce_key="k" * 256),
        create("[4]", account=resource_name("accounts", "acc", OTHER)),
        pb.CreateMessageRequest(),
        create("[5]"),
    ]
    batch = pb.BatchCreateMessagesRequest(requests=asked, request_id="batch")
    answer = await sending.BatchCreateMessages(batch)
    assert await sending.BatchCreateMessages(batch) == answer
    faults = [
        (one.fault.kind, [field.field for field in one.fault.fields]) for one in answer.results
    ]
    bad = "INVALID"
    assert faults == [
        ("", []),
        (bad, ["message.payload"]),
        (bad, ["message.event_type"]),
        ("", []),
        (bad, ["message.coalesce_key"]),
        ("FORBIDDEN", []),
        (bad, ["message"]),
        ("", []),
    ]
    assert answer.results[0].message.name == answer.results[3].message.name
    await world.settled(2)
    assert sorted(arrival.body for arrival in receiver.arrivals) == [b"[1]", b"[5]"]


async def test_an_operator_says_for_whom(world, receiver, account, server):
    await world.endpoint(account, receiver.url())
    stub = operations_pb2_grpc.SendingServiceStub(server.channel(operator(Role.OPERATOR)))
    name = resource_name("accounts", "acc", account)
    await stub.CreateMessage(create("[1]", account=name))
    await receiver.wait_for(1)
    error = await refused(stub.CreateMessage(create("[1]")))
    assert [one.field for one in error.violations] == ["message.account"]


async def test_a_newer_message_replaces_one_that_waits(world, receiver, account, sending):
    await world.endpoint(account, receiver.url())
    await set_open(world, False)
    for number in range(3):
        await sending.CreateMessage(create(f"[{number}]", coalesce_key="price"))
    await sending.CreateMessage(create("[9]", coalesce_key="other"))
    assert sorted(await world.states()) == [PENDING, PENDING, CANCELLED, CANCELLED]
    assert {event.code for event in await world.events()} == {"coalesced"}
    await set_open(world, True)
    await world.settled(4)
    assert sorted(arrival.body for arrival in receiver.arrivals) == [b"[2]", b"[9]"]


async def test_a_test_message_goes_to_one_endpoint_whatever_it_subscribed_to(
    world, receiver, account, sending
):
    mine = await world.endpoint(account, receiver.url("/mine"), ("alert.triggered",))
    await world.endpoint(account, receiver.url("/other"))
    name = resource_name("endpoints", "ep", mine)
    await sending.SendTestMessage(pb.SendTestMessageRequest(endpoint=name))
    await world.settled(1)
    assert [arrival.path for arrival in receiver.arrivals] == ["/mine"]
    assert b'"endpoint.test"' in receiver.arrivals[0].body


async def _failed(world, receiver, account, sending, count=1):
    """So many failed deliveries; answers the endpoint's name."""
    receiver.paths["/"] = behave.answer(500)
    endpoint = await world.endpoint(account, receiver.url())
    for number in range(count):
        await sending.CreateMessage(create(f"[{number}]"))
    await world.settled(count)
    assert await world.states() == [FAILED] * count
    receiver.paths["/"] = behave.answer(200)
    return resource_name("endpoints", "ep", endpoint)


async def test_a_failed_delivery_is_sent_again_with_a_new_schedule_and_told_of_twice(
    world, receiver, account, sending, reading
):
    await _failed(world, receiver, account, sending)
    receiver.paths["/"] = behave.in_turn(behave.answer(500), behave.answer(200))
    [message] = (await reading.ListMessages(shared.ListMessagesRequest())).messages
    again = pb.RedeliverMessageRequest(delivery=message.deliveries[0].name)
    assert (await sending.RedeliverMessage(again)).state == shared.DELIVERY_STATE_PENDING

    async def arrived():
        return await world.states() == [DELIVERED]

    await until(arrived)
    events = await world.events()
    assert [event.state for event in events] == [FAILED, DELIVERED]
    rows = await world.db.fetch("select id from event_outbox")
    assert len(rows) == 2
    assert [row["number"] for row in await world.attempts()] == [1, 2, 3, 4, 5, 6]


async def test_what_waits_can_be_called_off_and_what_is_settled_cannot(
    world, receiver, account, sending, reading, server
):
    await world.endpoint(account, receiver.url())
    await set_open(world, False)
    made = await sending.CreateMessage(create())
    message = await reading.GetMessage(shared.GetMessageRequest(name=made.name))
    off = pb.CancelDeliveryRequest(delivery=message.deliveries[0].name)
    other = operations_pb2_grpc.SendingServiceStub(server.channel(as_account(OTHER)))
    assert (await refused(other.CancelDelivery(off))).kind is Kind.NOT_FOUND
    assert (await sending.CancelDelivery(off)).reason == "cancelled"
    error = await refused(sending.CancelDelivery(off))
    assert error.reason == "delivery_not_waiting"


async def test_all_that_failed_is_recovered_also_by_who_comes_after_a_kill(
    world, receiver, account, sending, monkeypatch
):
    name = await _failed(world, receiver, account, sending, 5)
    monkeypatch.setattr("services.delivery.handlers.operations.STEP", 2)
    begun = await sending.RecoverEndpoint(
        pb.RecoverEndpointRequest(endpoint=name, since=ago(world, hours=1), request_id="r")
    )
    assert begun.state == pb.DELIVERY_OPERATION_STATE_RUNNING
    assert await world.operations.step()
    half = await sending.GetDeliveryOperation(pb.GetDeliveryOperationRequest(name=begun.name))
    assert (half.looked_at_count, half.changed_count) == (2, 2)
    # Whoever took the first step is gone; another goes on from the row.
    world.operations = Operations(
        world.db, world.vault, world.senders[0].worker, world.clock, world.ids
    )
    done = await finished(world, sending, begun)
    assert done.state == pb.DELIVERY_OPERATION_STATE_SUCCEEDED
    assert (done.looked_at_count, done.changed_count) == (5, 5)
    repeated = await sending.RecoverEndpoint(
        pb.RecoverEndpointRequest(endpoint=name, since=begun.start_time, request_id="")
    )
    assert repeated.name != begun.name

    async def arrived():
        return await world.states() == [DELIVERED] * 5

    await until(arrived)


async def test_a_replay_sends_what_an_endpoint_got_and_what_it_never_got(
    world, receiver, account, sending
):
    await world.endpoint(account, receiver.url("/old"))
    for number in range(3):
        await sending.CreateMessage(create(f"[{number}]"))
    await world.settled(3)
    late = await world.endpoint(account, receiver.url("/late"))
    await sending.CreateMessage(create("[3]"))
    await world.settled(5)
    begun = await sending.ReplayMessages(
        pb.ReplayMessagesRequest(
            endpoint=resource_name("endpoints", "ep", late), start_time=ago(world, hours=1)
        )
    )
    done = await finished(world, sending, begun)
    assert done.changed_count == 4
    await receiver.wait_for(5, "/late")
    await world.settled(8)
    assert sorted({arrival.body for arrival in receiver.at("/late")}) == [
        f"[{number}]".encode() for number in range(4)
    ]
    assert len(receiver.at("/old")) == 4


async def test_all_that_waits_is_called_off(world, receiver, account, sending):
    endpoint = await world.endpoint(account, receiver.url())
    await set_open(world, False)
    for _ in range(3):
        await sending.CreateMessage(create())
    name = resource_name("endpoints", "ep", endpoint)
    begun = await sending.CancelWaiting(pb.CancelWaitingRequest(endpoint=name))
    done = await finished(world, sending, begun)
    assert done.changed_count == 3
    assert await world.states() == [CANCELLED] * 3
    listed = await sending.ListDeliveryOperations(pb.ListDeliveryOperationsRequest())
    assert [one.name for one in listed.delivery_operations] == [begun.name]


async def test_statistics_of_an_endpoint(world, receiver, account, sending):
    receiver.paths["/"] = behave.in_turn(behave.answer(500), behave.answer(200))
    endpoint = await world.endpoint(account, receiver.url())
    for _ in range(4):
        await sending.CreateMessage(create())
    await world.settled(4)
    name = resource_name("endpoints", "ep", endpoint) + "/statistics"
    found = await sending.GetEndpointStatistics(pb.GetEndpointStatisticsRequest(name=name))
    assert found.breaker == "closed"
    assert [period.length.seconds for period in found.periods] == [3600, 86400, 604800]
    hour = found.periods[0]
    assert [(one.state, one.count) for one in hour.outcomes] == [(DELIVERED, 4)]
    assert (hour.attempt_count, hour.failure_share) == (5, pytest.approx(0.2))
    assert hour.latency_p50.nanos > 0
    assert not hour.partial


async def test_one_call_says_why_something_was_not_delivered(world, receiver, account, sending):
    await world.endpoint(account, receiver.url())
    await set_open(world, False)
    made = await sending.CreateMessage(create())
    name = f"{made.name}/timeline"
    told = await sending.GetMessageTimeline(pb.GetMessageTimelineRequest(name=name))
    [story] = told.deliveries
    assert [entry.kind for entry in story.entries] == ["endpoint_paused"]
    assert story.summary.startswith("Waits (endpoint_paused")
    await set_open(world, True)
    await world.settled(1)
    told = await sending.GetMessageTimeline(pb.GetMessageTimelineRequest(name=name))
    kinds = [entry.kind for entry in told.deliveries[0].entries]
    assert kinds[0] == "endpoint_paused"
    assert kinds[-2:] == ["attempt", "settled"]
    assert told.deliveries[0].summary == "Delivered after 1 attempt."


async def test_messages_are_found_by_name_type_time_and_outcome(
    world, receiver, account, sending, reading
):
    await _failed(world, receiver, account, sending, 2)
    made = await sending.CreateMessage(create(event_type="custom.other"))
    await world.settled(3)

    async def find(text):
        asked = shared.ListMessagesRequest(filter=text)
        return len((await reading.ListMessages(asked)).messages)

    assert await find("outcome = DELIVERY_STATE_FAILED") == 2
    assert await find("outcome = DELIVERY_STATE_DELIVERED") == 1
    assert await find('event_type = "custom.other"') == 1
    assert await find(f'name = "{made.name}"') == 1
    assert await find('create_time < "2020-01-01T00:00:00Z"') == 0
    first = await reading.ListMessages(shared.ListMessagesRequest(page_size=2))
    assert first.messages[0].name == made.name
    rest = await reading.ListMessages(
        shared.ListMessagesRequest(page_size=2, page_token=first.next_page_token)
    )
    assert len(rest.messages) == 1
    assert DeliveryState(EXPIRED) is DeliveryState.EXPIRED
