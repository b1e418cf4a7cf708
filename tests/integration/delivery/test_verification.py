"""Receivers that must say that they want our messages before they get any."""

from __future__ import annotations

import json

import pytest
from standardwebhooks import Webhook

from libs.errors import Kind
from libs.testing.rpc import account as as_account
from pq.delivery.v1 import delivery_pb2 as pb
from pq.delivery.v1 import delivery_pb2_grpc as grpc_pb
from services.delivery.store import messages
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.test_rpcs import create, refused, served
from tests.integration.delivery.world import PENDING as WAITING

SKIPPED, PENDING, VERIFIED = 1, 2, 3
ACTIVE, DISABLED = pb.ENDPOINT_STATE_ACTIVE, pb.ENDPOINT_STATE_DISABLED


def challenge_of(arrival) -> str:
    return json.loads(arrival.body)["data"]["challenge"]


def answering(make) -> behave.Behaviour:
    """Answers 200 with what `make` makes of the arrival."""

    async def answer(arrival, writer) -> bool:
        return await behave.answer(200, make(arrival).encode())(arrival, writer)

    return answer


PLAIN = answering(challenge_of)
AS_JSON = answering(lambda arrival: json.dumps({"challenge": challenge_of(arrival), "more": 1}))


@pytest.fixture
async def mine(world, account):
    async with served(world) as server:
        yield grpc_pb.EndpointServiceStub(server.channel(as_account(account)))


def challenged(url: str, **fields) -> pb.CreateEndpointRequest:
    request = create(url, **fields)
    request.verification = pb.VERIFICATION_MODE_CHALLENGE
    return request


async def verify(mine, made) -> pb.Endpoint:
    return await mine.VerifyEndpoint(pb.VerifyEndpointRequest(name=made.name))


@pytest.mark.parametrize("how", [PLAIN, AS_JSON])
async def test_a_receiver_that_answers_is_verified_at_once(mine, receiver, how):
    receiver.paths["/"] = how
    made = await mine.CreateEndpoint(challenged(receiver.url()))
    assert (made.verification_state, made.state, made.state_reason) == (VERIFIED, ACTIVE, "")
    assert made.HasField("verify_time")
    [arrival] = receiver.arrivals
    told = Webhook(made.secret).verify(arrival.body, arrival.headers)
    assert told["type"] == "endpoint.verification"
    assert told["data"]["endpoint"] == made.name
    assert len(challenge_of(arrival)) == 32


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (behave.answer(200), "without the challenge"),
        (behave.answer(200, b"wrong"), "without the challenge"),
        (answering(lambda arrival: arrival.body.decode()), "without the challenge"),
        (answering(lambda arrival: json.dumps([challenge_of(arrival)])), "without the challenge"),
        (behave.answer(403), "it answered 403; expected 2xx"),
        (behave.drop, "it could not be asked: disconnected"),
    ],
    ids=["silent", "wrong", "echo", "list", "forbidden", "drop"],
)
async def test_a_receiver_that_does_not_is_held(mine, world, receiver, account, how, told):
    receiver.paths["/"] = how
    made = await mine.CreateEndpoint(challenged(receiver.url()))
    assert (made.verification_state, made.state) == (PENDING, DISABLED)
    assert made.state_reason == "endpoint_unverified"
    assert told in made.verification_reason
    error = await refused(mine.ResumeEndpoint(pb.ResumeEndpointRequest(name=made.name)))
    assert (error.kind, error.reason) == (Kind.PRECONDITION, "endpoint_unverified")

    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    [row] = await world.deliveries()
    [shown] = (await messages.deliveries(world.db, [row["message"]]))[row["message"]]
    assert (row["state"], shown.shown_reason) == (WAITING, "endpoint_unverified")
    receiver.paths["/"] = PLAIN
    assert (await verify(mine, made)).state == ACTIVE
    receiver.paths["/"] = behave.answer(200)
    await world.settled(1)
    assert json.loads(receiver.arrivals[-1].body)["type"] == "alert.triggered"


async def test_a_repeat_with_a_request_id_asks_the_receiver_once(mine, receiver):
    receiver.paths["/"] = PLAIN
    made = await mine.CreateEndpoint(create(receiver.url()))
    asked = pb.VerifyEndpointRequest(name=made.name, request_id="r")
    first = await mine.VerifyEndpoint(asked)
    assert first.verification_state == VERIFIED
    receiver.paths["/"] = behave.answer(500)
    assert await mine.VerifyEndpoint(asked) == first
    assert len(receiver.arrivals) == 1
    asked.name = (await mine.CreateEndpoint(create(receiver.url("/other")))).name
    assert (await refused(mine.VerifyEndpoint(asked))).kind is Kind.UNPROCESSABLE


async def test_a_challenge_that_fails_later_takes_nothing_away(mine, receiver):
    receiver.paths["/"] = PLAIN
    made = await mine.CreateEndpoint(challenged(receiver.url()))
    receiver.paths["/"] = behave.answer(500)
    again = await verify(mine, made)
    assert (again.verification_state, again.state) == (VERIFIED, ACTIVE)
    assert "500" in again.verification_reason


async def test_another_url_is_asked_anew(mine, receiver):
    receiver.paths["/"] = PLAIN
    made = await mine.CreateEndpoint(challenged(receiver.url()))
    asked = pb.Endpoint(name=made.name, url=receiver.url("/moved"))
    moved = await mine.UpdateEndpoint(pb.UpdateEndpointRequest(endpoint=asked))
    assert (moved.verification_state, moved.state) == (PENDING, DISABLED)
    receiver.paths["/moved"] = PLAIN
    assert (await verify(mine, made)).state == ACTIVE
    assert [arrival.path for arrival in receiver.arrivals] == ["/", "/moved"]


async def test_verifying_leaves_a_pause_as_it_is(mine, receiver):
    receiver.paths["/"] = PLAIN
    made = await mine.CreateEndpoint(create(receiver.url()))
    assert (made.verification_state, made.state) == (SKIPPED, ACTIVE)
    await mine.PauseEndpoint(pb.PauseEndpointRequest(name=made.name))
    verified = await verify(mine, made)
    assert (verified.verification_state, verified.state) == (VERIFIED, pb.ENDPOINT_STATE_PAUSED)


async def test_a_repeated_creation_asks_once(mine, receiver):
    receiver.paths["/"] = PLAIN
    request = challenged(receiver.url(), request_id="r")
    first = await mine.CreateEndpoint(request)
    assert (await mine.CreateEndpoint(request)).name == first.name
    assert len(receiver.arrivals) == 1


async def test_an_operator_may_have_everybody_asked(world, account, receiver):
    async with served(world, require_verification=True) as server:
        mine = grpc_pb.EndpointServiceStub(server.channel(as_account(account)))
        assert (await mine.CreateEndpoint(create(receiver.url()))).verification_state == PENDING
        skipping = create(receiver.url())
        skipping.verification = pb.VERIFICATION_MODE_SKIP
        error = await refused(mine.CreateEndpoint(skipping))
        assert (error.kind, error.reason) == (Kind.FORBIDDEN, "verification_required")
