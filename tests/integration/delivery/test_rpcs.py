"""EndpointService and MessageService, over gRPC with real tokens."""

from __future__ import annotations

from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from google.protobuf.duration_pb2 import Duration
from standardwebhooks import Webhook

from libs.api.paging import PageTokens
from libs.api.wire import resource_name
from libs.auth import Caller, Role
from libs.errors import AppError, Kind
from libs.testing.rpc import account as as_account
from libs.testing.rpc import serving
from pq.delivery.v1 import delivery_pb2 as pb
from pq.delivery.v1 import delivery_pb2_grpc as grpc_pb
from services.delivery.channels.clients import Clients
from services.delivery.channels.webhook import WebhookChannel
from services.delivery.domain.model import MAX_ENDPOINTS
from services.delivery.domain.signing import decode_secret
from services.delivery.handlers.endpoint_keys import EndpointKeys
from services.delivery.handlers.endpoint_verification import EndpointVerification
from services.delivery.servicer.endpoint_keys import WebhookKeyServicer
from services.delivery.servicer.endpoints import EndpointServicer
from services.delivery.servicer.messages import MessageServicer
from services.delivery.store.vault import Vault, VaultError
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.world import POLICY

OTHER = UUID("01900000-0000-7000-8000-000000000002")
URL = "https://8.8.8.8/hook"
VIEWER = Caller.for_operator("tokens/tok_v", Role.VIEWER)
INGEST = Caller.for_operator("tokens/tok_i", Role.INGEST)


@asynccontextmanager
async def served(world, *, require_verification=False):
    tokens = PageTokens(bytes(32), world.clock)
    channel = WebhookChannel(POLICY, world.resolver, Clients(), world.clock, 5.0)
    async with serving(
        (
            grpc_pb.add_EndpointServiceServicer_to_server,
            EndpointServicer(
                world.db,
                world.endpoints,
                EndpointKeys(world.db, world.vault, world.clock),
                EndpointVerification(world.db, world.vault, channel.send, world.clock, world.ids),
                tokens,
                world.clock,
                require_verification=require_verification,
            ),
        ),
        (
            grpc_pb.add_WebhookKeyServiceServicer_to_server,
            WebhookKeyServicer(EndpointKeys(world.db, world.vault, world.clock)),
        ),
        (grpc_pb.add_MessageServiceServicer_to_server, MessageServicer(world.db, tokens)),
    ) as server:
        yield server
    await channel.close()


@pytest.fixture
async def stubs(world, account):
    async with served(world) as server:
        mine, theirs = (server.channel(as_account(id)) for id in (account, OTHER))
        yield (
            grpc_pb.EndpointServiceStub(mine),
            grpc_pb.MessageServiceStub(mine),
            grpc_pb.EndpointServiceStub(theirs),
            grpc_pb.MessageServiceStub(theirs),
        )


def create(url: str = URL, **fields) -> pb.CreateEndpointRequest:
    request_id = fields.pop("request_id", "")
    return pb.CreateEndpointRequest(endpoint=pb.Endpoint(url=url, **fields), request_id=request_id)


async def refused(call) -> AppError:
    with pytest.raises(AppError) as caught:
        await call
    return caught.value


async def test_the_secret_is_shown_once_and_read_where_it_may_be(stubs):
    endpoints, _, _, _ = stubs
    made = await endpoints.CreateEndpoint(create(description="mine", event_types=[]))
    assert made.name.startswith("endpoints/ep_")
    assert made.secret.startswith("whsec_")
    assert made.state == pb.ENDPOINT_STATE_ACTIVE
    shown = await endpoints.GetEndpoint(pb.GetEndpointRequest(name=made.name))
    assert shown.secret == ""
    assert (shown.url, shown.description, shown.etag) == (URL, "mine", made.etag)
    secret = await endpoints.GetEndpointSecret(
        pb.GetEndpointSecretRequest(name=made.name + "/secret")
    )
    assert (secret.secret, secret.previous_secret) == (made.secret, "")


async def test_secrets_are_sealed_at_rest(stubs, world):
    made = await stubs[0].CreateEndpoint(create(request_id="r"))
    dump = await world.db.fetch("select * from endpoint_secrets")
    kept = await world.db.fetchval("select response from request_keys")
    assert decode_secret(made.secret) not in dump[0]["sealed"]
    assert b"whsec_" not in kept
    assert made.name.encode() in kept


async def test_a_repeat_with_a_request_id_gets_the_same_endpoint_and_secret(stubs):
    endpoints = stubs[0]
    first = await endpoints.CreateEndpoint(create(request_id="a"))
    assert await endpoints.CreateEndpoint(create(request_id="a")) == first
    error = await refused(endpoints.CreateEndpoint(create(request_id="a", description="x")))
    assert (error.kind, error.reason) == (Kind.UNPROCESSABLE, "request_id_reused")
    listed = await endpoints.ListEndpoints(pb.ListEndpointsRequest())
    assert len(listed.endpoints) == 1


@pytest.mark.parametrize(
    ("request_", "field", "reason"),
    [
        (pb.CreateEndpointRequest(), "endpoint", "required"),
        (create(""), "endpoint.url", "url_missing"),
        (create("https://127.1/"), "endpoint.url", "url_host"),
        (create("https://10.0.0.1/"), "endpoint.url", "address_refused"),
        (create("https://user@example.com/"), "endpoint.url", "url_userinfo"),
        (create(description="x" * 501), "endpoint.description", "invalid_field"),
        (create(event_types=["alert.trigered"]), "endpoint.event_types[0]", "unknown_type"),
    ],
)
async def test_bad_input_names_the_field(stubs, request_, field, reason):
    error = await refused(stubs[0].CreateEndpoint(request_))
    assert error.kind is Kind.INVALID
    assert [(v.field, v.reason) for v in error.violations] == [(field, reason)]


async def test_anothers_does_not_exist(stubs, world, receiver, account):
    endpoints, messages, other_endpoints, other_messages = stubs
    made = await endpoints.CreateEndpoint(create(receiver.url()))
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await world.settled()
    [message] = (await messages.ListMessages(pb.ListMessagesRequest())).messages
    for call in (
        other_endpoints.GetEndpoint(pb.GetEndpointRequest(name=made.name)),
        other_endpoints.GetEndpointSecret(pb.GetEndpointSecretRequest(name=made.name + "/secret")),
        other_endpoints.RotateSecret(pb.RotateSecretRequest(endpoint=made.name)),
        other_endpoints.DeleteEndpoint(pb.DeleteEndpointRequest(name=made.name)),
        other_messages.GetMessage(pb.GetMessageRequest(name=message.name)),
        other_messages.ListAttempts(pb.ListAttemptsRequest(parent=message.name)),
    ):
        assert (await refused(call)).kind is Kind.NOT_FOUND
    assert not (await other_endpoints.ListEndpoints(pb.ListEndpointsRequest())).endpoints
    assert not (await other_messages.ListMessages(pb.ListMessagesRequest())).messages


async def test_a_message_shows_how_it_went_and_its_attempts(stubs, world, receiver, account):
    endpoints, messages, _, _ = stubs
    receiver.paths["/"] = behave.in_turn(behave.answer(500, b"caf\xe9"), behave.answer(200))
    made = await endpoints.CreateEndpoint(create(receiver.url()))
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await world.settled()
    [listed] = (await messages.ListMessages(pb.ListMessagesRequest())).messages
    shown = await messages.GetMessage(pb.GetMessageRequest(name=listed.name))
    assert shown == listed
    assert shown.payload.encode() == receiver.arrivals[0].body
    [delivery] = shown.deliveries
    assert (delivery.endpoint, delivery.state) == (made.name, pb.DELIVERY_STATE_DELIVERED)
    assert (delivery.attempt_count, delivery.reason) == (2, "ok")
    assert not delivery.HasField("next_attempt_time")
    page = await messages.ListAttempts(pb.ListAttemptsRequest(parent=shown.name, page_size=1))
    [first] = page.attempts
    assert (first.number, first.http_status, first.response_body) == (1, 500, "caf\ufffd")
    page = await messages.ListAttempts(
        pb.ListAttemptsRequest(parent=shown.name, page_size=1, page_token=page.next_page_token)
    )
    assert [a.code for a in page.attempts] == ["ok"]
    assert page.next_page_token == ""
    Webhook(made.secret).verify(receiver.arrivals[1].body, receiver.arrivals[1].headers)


async def test_operators_read_everybodys_messages(world, receiver, account):
    sender = await world.sender()
    other = world.ids.uuid()
    for who in (account, other):
        await world.endpoint(who, receiver.url())
        await world.tell(sender, world.fired(who))
    await world.settled(2)
    async with served(world) as server:
        viewer = grpc_pb.MessageServiceStub(server.channel(VIEWER))
        ingest = grpc_pb.MessageServiceStub(server.channel(INGEST))
        mine = grpc_pb.MessageServiceStub(server.channel(as_account(account)))
        whose = {resource_name("accounts", "acc", id) for id in (account, other)}
        listed = (await viewer.ListMessages(pb.ListMessagesRequest())).messages
        assert {message.account for message in listed} == whose
        wanted = f'account = "{resource_name("accounts", "acc", other)}"'
        [theirs] = (await viewer.ListMessages(pb.ListMessagesRequest(filter=wanted))).messages
        assert await viewer.GetMessage(pb.GetMessageRequest(name=theirs.name)) == theirs
        attempts = pb.ListAttemptsRequest(parent=theirs.name)
        assert len((await viewer.ListAttempts(attempts)).attempts) == 1
        error = await refused(mine.ListMessages(pb.ListMessagesRequest(filter=wanted)))
        assert error.reason == "invalid_filter"
        call = mine.GetMessage(pb.GetMessageRequest(name=theirs.name))
        assert (await refused(call)).kind is Kind.NOT_FOUND
        call = ingest.ListMessages(pb.ListMessagesRequest())
        assert (await refused(call)).kind is Kind.FORBIDDEN


async def test_pages_and_filters(stubs, world):
    endpoints = stubs[0]
    made = [await endpoints.CreateEndpoint(create(f"https://8.8.8.8/{at}")) for at in range(5)]
    names, token = [], ""
    for _ in range(3):
        page = await endpoints.ListEndpoints(pb.ListEndpointsRequest(page_size=2, page_token=token))
        names += [endpoint.name for endpoint in page.endpoints]
        token = page.next_page_token
    assert (names, token) == ([endpoint.name for endpoint in reversed(made)], "")
    await world.db.execute("update endpoints set state = 3 where url like '%/4'")
    wanted = 'state = ENDPOINT_STATE_ACTIVE AND url = "https://8.8.8.8/*"'
    found = await endpoints.ListEndpoints(pb.ListEndpointsRequest(filter=wanted))
    assert len(found.endpoints) == 4
    error = await refused(endpoints.ListEndpoints(pb.ListEndpointsRequest(filter="secret = 1")))
    assert error.reason == "invalid_filter"
    error = await refused(
        endpoints.ListEndpoints(pb.ListEndpointsRequest(page_token=token or "abcd"))
    )
    assert error.reason == "page_token_invalid"


async def test_rotating_overlaps_as_long_as_asked_for(stubs):
    endpoints = stubs[0]
    made = await endpoints.CreateEndpoint(create())
    asked = pb.RotateSecretRequest(endpoint=made.name, request_id="r")
    second = await endpoints.RotateSecret(asked)
    assert (second.previous_secret, second.secret != made.secret) == (made.secret, True)
    assert second.HasField("previous_expire_time")
    assert await endpoints.RotateSecret(asked) == second
    third = await endpoints.RotateSecret(
        pb.RotateSecretRequest(endpoint=made.name, overlap=Duration())
    )
    assert (third.previous_secret, third.HasField("previous_expire_time")) == ("", False)
    shown = await endpoints.GetEndpoint(pb.GetEndpointRequest(name=made.name))
    assert shown.etag != made.etag
    error = await refused(
        endpoints.RotateSecret(
            pb.RotateSecretRequest(endpoint=made.name, overlap=Duration(seconds=8 * 86400))
        )
    )
    assert error.violations[0].field == "overlap"


async def test_deleting_heeds_the_etag_and_may_be_repeated(stubs):
    endpoints = stubs[0]
    made = await endpoints.CreateEndpoint(create())
    error = await refused(
        endpoints.DeleteEndpoint(pb.DeleteEndpointRequest(name=made.name, etag='"9"'))
    )
    assert (error.kind, error.reason) == (Kind.ABORTED, "etag_mismatch")
    asked = pb.DeleteEndpointRequest(name=made.name, etag=made.etag, request_id="d")
    await endpoints.DeleteEndpoint(asked)
    await endpoints.DeleteEndpoint(asked)
    again = endpoints.DeleteEndpoint(pb.DeleteEndpointRequest(name=made.name))
    assert (await refused(again)).kind is Kind.NOT_FOUND


async def test_an_account_has_so_many_endpoints_and_no_more(stubs, world, account):
    for at in range(MAX_ENDPOINTS):
        await world.endpoint(account, f"https://8.8.8.8/{at}")
    error = await refused(stubs[0].CreateEndpoint(create()))
    assert (error.kind, error.reason) == (Kind.PRECONDITION, "too_many_endpoints")


async def test_the_operators_key_is_rotated_and_secrets_stay(world, account, tmp_path):
    endpoint = await world.endpoint(account, URL)
    before = await world.endpoints.secrets(world.db, account, endpoint)
    ring = tmp_path / "ring"
    old = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    ring.write_text(f"# newest first\nk2 {'B' * 43}=\nk1 {old}\n")
    vault = world.sweeps._vault = world.endpoints._vault = Vault.load(ring)
    assert await world.sweeps.reseal() == 1
    assert await world.sweeps.reseal() == 0
    assert await world.endpoints.secrets(world.db, account, endpoint) == before
    assert await world.db.fetchval("select key_id from endpoint_secrets") == "k2"
    sealed = await world.db.fetchval("select sealed from endpoint_secrets")
    with pytest.raises(VaultError):
        vault.open(world.ids.uuid(), "k2", sealed)  # it opens for its own endpoint alone


@pytest.mark.parametrize("text", ["", "k1\n", "k1 abc\n", f"k1 {'A' * 44}\n", "# nothing\n"])
def test_a_ring_without_good_keys_is_refused(tmp_path, text):
    ring = tmp_path / "ring"
    ring.write_text(text)
    with pytest.raises(VaultError, match="ring"):
        Vault.load(ring)
