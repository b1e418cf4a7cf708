"""Calls that travel together: each with its own answer."""

from __future__ import annotations

import asyncio

import pytest

from gateway.http.auth import Identity
from gateway.http.backends import Context
from gateway.http.coalesce import BATCH, SINGLE, SIZE, Coalescing
from gateway.transcode import descriptors
from libs.auth import ANONYMOUS
from libs.errors import AppError, Kind
from pq.delivery.v1 import delivery_pb2 as shared
from pq.delivery.v1 import operations_pb2 as pb

RPCS = descriptors.load().rpcs
SINGLE_RPC = next(rpc for rpc in RPCS if rpc.full_name == SINGLE)


class Delivery:
    """Answers with the payload as the name; "bad" payloads are refused. Waits where told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, str]] = []
        self.go_on = asyncio.Event()
        self.fails: AppError | None = None

    async def call(self, rpc, request, context) -> bytes:
        items = [request] if rpc.full_name == SINGLE else list(request.requests)
        self.calls.append((rpc.name, len(items), context.identity.jwt))
        await self.go_on.wait()
        if self.fails:
            raise self.fails
        if rpc.full_name == SINGLE:
            return shared.Message(name=request.message.payload).SerializeToString()
        assert rpc.full_name == BATCH
        return pb.BatchCreateMessagesResponse(
            results=[_result(item) for item in items]
        ).SerializeToString()


def _result(item) -> pb.MessageResult:
    if item.message.payload == "bad":
        field = pb.FieldFault(field="message.event_type", description="expected", reason="r")
        return pb.MessageResult(
            fault=pb.MessageFault(kind="UNPROCESSABLE", reason="r", message="m", fields=[field])
        )
    return pb.MessageResult(message=shared.Message(name=item.message.payload))


@pytest.fixture
def delivery():
    return Delivery()


@pytest.fixture
def coalescing(delivery):
    return Coalescing(delivery, RPCS)


def ask(coalescing, payload: str, jwt: str = "a") -> asyncio.Task[bytes]:
    request = pb.CreateMessageRequest(message=shared.Message(payload=payload))
    context = Context(Identity(ANONYMOUS, jwt), "r", 5.0)
    return asyncio.ensure_future(coalescing.call(SINGLE_RPC, request, context))


async def names(tasks) -> list[str]:
    return [shared.Message.FromString(await task).name for task in tasks]


async def test_one_alone_waits_for_nobody_and_those_behind_it_go_together(coalescing, delivery):
    tasks = [ask(coalescing, str(n)) for n in range(2 * SIZE + 2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # The first alone; of the others what was there when it was their turn.
    assert delivery.calls[0] == ("CreateMessage", 1, "a")
    assert len(delivery.calls) == 2
    delivery.go_on.set()
    assert await names(tasks) == [str(n) for n in range(2 * SIZE + 2)]
    assert len(delivery.calls) <= 5
    assert max(size for _, size, _ in delivery.calls) == SIZE
    assert coalescing._lines == {}


async def test_each_gets_its_own_refusal(coalescing, delivery):
    tasks = [ask(coalescing, payload) for payload in ("first", "a", "bad", "b")]
    await asyncio.sleep(0)
    delivery.go_on.set()
    assert await names([tasks[0], tasks[1], tasks[3]]) == ["first", "a", "b"]
    with pytest.raises(AppError) as caught:
        await tasks[2]
    assert caught.value.kind is Kind.UNPROCESSABLE
    assert [one.field for one in caught.value.violations] == ["message.eventType"]


async def test_identities_do_not_share_a_call(coalescing, delivery):
    tasks = [ask(coalescing, f"{jwt}{n}", jwt) for n in range(5) for jwt in "ab"]
    await asyncio.sleep(0)
    delivery.go_on.set()
    await names(tasks)
    assert {jwt for _, _, jwt in delivery.calls} == {"a", "b"}
    assert sum(size for _, size, jwt in delivery.calls if jwt == "a") == 5


async def test_a_batch_that_fails_fails_for_each_and_the_next_goes_on(coalescing, delivery):
    delivery.fails = AppError(Kind.UNAVAILABLE, "unavailable", "away")
    tasks = [ask(coalescing, str(n)) for n in range(4)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    delivery.go_on.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    kinds = [one.kind for one in results if isinstance(one, AppError)]
    assert kinds == [Kind.UNAVAILABLE] * 3
    delivery.fails = None
    assert await names([ask(coalescing, "again")]) == ["again"]
