"""What an endpoint's owner can set, change, pause and resume, over gRPC with real tokens."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from libs.errors import Kind
from libs.testing.rpc import account as as_account
from pq.delivery.v1 import delivery_pb2 as pb
from pq.delivery.v1 import delivery_pb2_grpc as grpc_pb
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.test_rpcs import OTHER, URL, create, refused, served
from tests.integration.delivery.world import PENDING, until

FULL = {
    "description": "mine",
    "event_types": ["alert.*"],
    "metadata": {"team": "pricing"},
    "headers": {"X-Tenant": "42", "Authorization": "Bearer abc"},
    "cards": ["cards/base1-4-holofoil"],
    "portfolios": ["portfolios/pf_1"],
    "rate_limit": 2.5,
    "max_in_flight": 3,
    "ordering": pb.ENDPOINT_ORDERING_PER_KEY,
    "retry_schedule": [Duration(seconds=1), Duration(seconds=2, nanos=500_000_000)],
    "deliver_by_default": Duration(seconds=3600),
    "signatures": [pb.SIGNATURE_KIND_V1],
}


@pytest.fixture
async def mine(world, account):
    async with served(world) as server:
        yield grpc_pb.EndpointServiceStub(server.channel(as_account(account)))


def update(made: pb.Endpoint, *paths: str, **fields) -> pb.UpdateEndpointRequest:
    asked = pb.Endpoint(name=made.name, **fields)
    return pb.UpdateEndpointRequest(endpoint=asked, update_mask=FieldMask(paths=paths))


async def test_all_settings_are_kept_and_shown_without_credentials(mine):
    made = await mine.CreateEndpoint(create(**FULL))
    shown = await mine.GetEndpoint(pb.GetEndpointRequest(name=made.name))
    expected = pb.Endpoint(**FULL)
    for field, value in expected.ListFields():
        if field.name != "headers":
            assert getattr(shown, field.name) == value, field.name
    assert dict(shown.headers) == {"x-tenant": "42", "authorization": "***"}
    listed = await mine.ListEndpoints(pb.ListEndpointsRequest())
    assert listed.endpoints[0] == shown


async def test_headers_are_sealed_at_rest(mine, world):
    await mine.CreateEndpoint(create(headers={"authorization": "Bearer correct-horse"}))
    row = await world.db.fetchrow("select * from endpoints")
    assert b"correct-horse" not in row["headers_sealed"]


async def test_an_update_changes_the_masked_fields_alone(mine):
    made = await mine.CreateEndpoint(create(**FULL))
    after = await mine.UpdateEndpoint(
        update(made, "description", "rate_limit", "cards", description="new", max_in_flight=9)
    )
    assert (after.description, after.rate_limit, list(after.cards)) == ("new", 0.0, [])
    assert (after.max_in_flight, after.url) == (3, URL)
    assert after.etag != made.etag
    assert after.update_time.ToDatetime() > made.update_time.ToDatetime()


async def test_an_update_without_a_mask_changes_what_is_set(mine):
    made = await mine.CreateEndpoint(create(**FULL))
    after = await mine.UpdateEndpoint(update(made, url="https://8.8.4.4/other", max_in_flight=9))
    assert (after.url, after.max_in_flight, after.description) == (
        "https://8.8.4.4/other",
        9,
        "mine",
    )


async def test_a_star_sets_everything(mine):
    made = await mine.CreateEndpoint(create(**FULL))
    after = await mine.UpdateEndpoint(update(made, "*", url=URL))
    plain = await mine.CreateEndpoint(create())
    for field in pb.Endpoint.DESCRIPTOR.fields:
        if field.name not in ("name", "secret", "etag", "create_time", "update_time", "state_time"):
            assert getattr(after, field.name) == getattr(plain, field.name), field.name


async def test_what_is_read_can_be_written_back_and_changes_nothing(mine, world):
    made = await mine.CreateEndpoint(create(**FULL))
    shown = await mine.GetEndpoint(pb.GetEndpointRequest(name=made.name))
    after = await mine.UpdateEndpoint(
        pb.UpdateEndpointRequest(endpoint=shown, update_mask=FieldMask(paths=["*"]))
    )
    assert after == shown
    target = (await world.target(made.name)).headers
    assert target["authorization"] == "Bearer abc"


async def test_an_update_that_is_late_is_refused(mine):
    made = await mine.CreateEndpoint(create())
    await mine.UpdateEndpoint(update(made, description="first", etag=made.etag))
    error = await refused(mine.UpdateEndpoint(update(made, description="second", etag=made.etag)))
    assert (error.kind, error.reason) == (Kind.ABORTED, "etag_mismatch")


@pytest.mark.parametrize(
    ("paths", "fields", "field", "reason"),
    [
        (["state"], {}, "update_mask", "unknown_field"),
        (["etag"], {}, "update_mask", "unknown_field"),
        (["url"], {}, "endpoint.url", "url_missing"),
        (["url"], {"url": "https://10.0.0.1/"}, "endpoint.url", "address_refused"),
        ([], {"headers": {"Host": "x"}}, "endpoint.headers['Host']", "header_refused"),
        ([], {"headers": {"x-a": "***"}}, "endpoint.headers['x-a']", "header_hidden"),
        ([], {"rate_limit": -1.0}, "endpoint.rate_limit", "out_of_range"),
        ([], {"rate_limit": float("nan")}, "endpoint.rate_limit", "out_of_range"),
        ([], {"max_in_flight": 1001}, "endpoint.max_in_flight", "out_of_range"),
        ([], {"ordering": 9}, "endpoint.ordering", "unknown_value"),
        ([], {"signatures": [1, 7]}, "endpoint.signatures[1]", "unknown_value"),
        ([], {"cards": ["portfolios/x"]}, "endpoint.cards[0]", "wrong_name"),
        ([], {"portfolios": ["portfolios/"]}, "endpoint.portfolios[0]", "wrong_name"),
        ([], {"event_types": ["alert*"]}, "endpoint.event_types[0]", "unknown_type"),
        (
            [],
            {"retry_schedule": [Duration(seconds=2), Duration(seconds=1)]},
            "endpoint.retry_schedule[1]",
            "invalid_field",
        ),
        (
            [],
            {"retry_schedule": [Duration(seconds=86_401)]},
            "endpoint.retry_schedule[0]",
            "out_of_range",
        ),
        (
            [],
            {"deliver_by_default": Duration(nanos=1)},
            "endpoint.deliver_by_default",
            "out_of_range",
        ),
    ],
)
async def test_a_bad_update_names_the_field(mine, paths, fields, field, reason):
    made = await mine.CreateEndpoint(create())
    error = await refused(mine.UpdateEndpoint(update(made, *paths, **fields)))
    assert error.kind is Kind.INVALID
    assert [(v.field, v.reason) for v in error.violations] == [(field, reason)]
    assert await mine.GetEndpoint(pb.GetEndpointRequest(name=made.name)) == _public(made)


async def test_anothers_cannot_be_changed(world, account):
    async with served(world) as server:
        mine = grpc_pb.EndpointServiceStub(server.channel(as_account(account)))
        theirs = grpc_pb.EndpointServiceStub(server.channel(as_account(OTHER)))
        made = await mine.CreateEndpoint(create())
        for call in (
            theirs.UpdateEndpoint(update(made, description="x")),
            theirs.PauseEndpoint(pb.PauseEndpointRequest(name=made.name)),
            theirs.ResumeEndpoint(pb.ResumeEndpointRequest(name=made.name)),
            theirs.VerifyEndpoint(pb.VerifyEndpointRequest(name=made.name)),
            theirs.GetEndpointSigning(pb.GetEndpointSigningRequest(name=made.name + "/signing")),
        ):
            assert (await refused(call)).kind is Kind.NOT_FOUND


async def test_messages_wait_while_paused_and_go_out_when_resumed(mine, world, receiver, account):
    sender = await world.sender()
    made = await mine.CreateEndpoint(create(receiver.url()))
    paused = await mine.PauseEndpoint(pb.PauseEndpointRequest(name=made.name, etag=made.etag))
    assert paused.state == pb.ENDPOINT_STATE_PAUSED
    assert await mine.PauseEndpoint(pb.PauseEndpointRequest(name=made.name)) == paused
    await world.tell(sender, world.fired(account))
    assert await world.states() == [PENDING]
    assert not receiver.arrivals
    resumed = await mine.ResumeEndpoint(pb.ResumeEndpointRequest(name=made.name))
    assert (resumed.state, resumed.state_reason) == (pb.ENDPOINT_STATE_ACTIVE, "")
    await receiver.wait_for(1)
    await world.settled(1)


async def queued(world, sender, receiver, account, made, gate):
    """Sixteen under way at a receiver that does not answer, and forty behind them in memory."""
    await world.tell(sender, world.fired(account))
    await world.settled(1)
    receiver.paths["/"] = behave.held(gate, behave.answer(200))
    await world.tell(sender, *(world.fired(account) for _ in range(56)))
    await receiver.wait_for(17)
    assert [row["worker"] is not None for row in await world.deliveries()].count(True) == 56


async def given_back(world):
    async def done():
        rows = await world.deliveries()
        return sum(row["worker"] is not None for row in rows) == 16

    await until(done)


async def test_a_pause_holds_what_is_in_memory_already(mine, world, receiver, account):
    sender, gate = await world.sender(), asyncio.Event()
    made = await mine.CreateEndpoint(create(receiver.url()))
    await queued(world, sender, receiver, account, made, gate)
    await mine.PauseEndpoint(pb.PauseEndpointRequest(name=made.name))
    await given_back(world)
    gate.set()
    await world.settled(17)
    assert len(receiver.arrivals) == 17
    await mine.ResumeEndpoint(pb.ResumeEndpointRequest(name=made.name))
    await world.settled(57)
    assert len({arrival.id for arrival in receiver.arrivals}) == len(receiver.arrivals) == 57


async def test_another_url_is_that_of_what_is_in_memory_too(mine, world, receiver, account):
    sender, gate = await world.sender(), asyncio.Event()
    made = await mine.CreateEndpoint(create(receiver.url()))
    await queued(world, sender, receiver, account, made, gate)
    await mine.UpdateEndpoint(update(made, url=receiver.url("/new")))

    async def known():
        return set(sender.worker._dispatcher.waiting().values()) == {2}

    await until(known)
    gate.set()
    await world.settled(57)
    assert (len(receiver.at("/")), len(receiver.at("/new"))) == (17, 40)


async def test_nothing_in_memory_is_sent_to_what_is_deleted(mine, world, receiver, account):
    sender, gate = await world.sender(), asyncio.Event()
    made = await mine.CreateEndpoint(create(receiver.url()))
    await queued(world, sender, receiver, account, made, gate)
    await mine.DeleteEndpoint(pb.DeleteEndpointRequest(name=made.name))

    async def nothing_waits():
        return not sender.worker._dispatcher.waiting()

    await until(nothing_waits)
    gate.set()

    async def all_settled():
        await world.sweeps.run()
        return all(row["settle_time"] is not None for row in await world.deliveries())

    await until(all_settled)
    assert len(receiver.arrivals) == 17


async def test_what_is_disabled_is_resumed_and_not_paused(mine, world, receiver, account):
    made = await mine.CreateEndpoint(create(receiver.url()))
    await world.disable(made.name, "endpoint_gone")
    error = await refused(mine.PauseEndpoint(pb.PauseEndpointRequest(name=made.name)))
    assert (error.kind, error.reason) == (Kind.PRECONDITION, "endpoint_disabled")
    late = pb.ResumeEndpointRequest(name=made.name, etag=made.etag)
    assert (await refused(mine.ResumeEndpoint(late))).reason == "etag_mismatch"
    resumed = await mine.ResumeEndpoint(pb.ResumeEndpointRequest(name=made.name))
    assert resumed.state == pb.ENDPOINT_STATE_ACTIVE


async def test_custom_headers_are_sent_and_ours_stay_ours(mine, world, receiver, account):
    await mine.CreateEndpoint(
        create(receiver.url(), headers={"Authorization": "Bearer abc", "X-Tenant": "4 2"})
    )
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    [arrival] = await receiver.wait_for(1)
    assert arrival.headers["authorization"] == "Bearer abc"
    assert arrival.headers["x-tenant"] == "4 2"
    assert arrival.headers["content-type"] == "application/json"


async def test_filters_choose_by_card_portfolio_and_type(mine, world, receiver, account):
    wanted = {
        "/all": {},
        "/card": {"cards": ["cards/base1-4-holofoil", "cards/other"]},
        "/either": {"cards": ["cards/base1-4-holofoil"], "portfolios": ["portfolios/p"]},
        "/family": {"event_types": ["alert.*"]},
    }
    unwanted = {
        "/other": {"cards": ["cards/other"]},
        "/portfolio": {"portfolios": ["portfolios/p"]},
    }
    for path, filters in (wanted | unwanted).items():
        await mine.CreateEndpoint(create(receiver.url(path), **filters))
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await world.settled(len(wanted))
    assert sorted(arrival.path for arrival in receiver.arrivals) == sorted(wanted)


async def test_the_retry_schedule_is_the_endpoints_own(mine, world, receiver, account):
    made = await mine.CreateEndpoint(create(retry_schedule=[Duration(seconds=7)]))
    ordered = await mine.CreateEndpoint(create(ordering=pb.ENDPOINT_ORDERING_PER_KEY))
    plain = await mine.CreateEndpoint(create())
    assert (await world.target(made.name)).schedule.delays == (7.0,)
    assert (await world.target(ordered.name)).schedule.delays == (5.0, 30.0, 120.0, 300.0)
    target = await world.target(plain.name)
    assert (target.schedule, target.ordered, target.rate_limit) == (None, False, None)


async def test_an_endpoint_whose_secret_no_key_opens_harms_no_other(mine, world, receiver, account):
    broken = await mine.CreateEndpoint(create(receiver.url("/broken")))
    await mine.CreateEndpoint(create(receiver.url("/sound")))
    sender = await world.sender()
    await world.lose_key(broken.name)
    await world.tell(sender, world.fired(account))
    await receiver.wait_for(1, "/sound")

    async def disabled() -> bool:
        shown = await mine.GetEndpoint(pb.GetEndpointRequest(name=broken.name))
        return (shown.state, shown.state_reason) == (
            pb.ENDPOINT_STATE_DISABLED,
            "secret_unreadable",
        )

    await until(disabled)
    assert not receiver.at("/broken")
    error = await refused(
        mine.GetEndpointSecret(pb.GetEndpointSecretRequest(name=broken.name + "/secret"))
    )
    assert (error.kind, error.reason) == (Kind.PRECONDITION, "secret_unreadable")
    assert await world.sweeps.revive() == 0
    await world.find_key(broken.name)
    assert await world.sweeps.revive() == 1
    await receiver.wait_for(1, "/broken")
    await world.settled(2)


def _public(endpoint: pb.Endpoint) -> pb.Endpoint:
    shown = pb.Endpoint()
    shown.CopyFrom(endpoint)
    shown.ClearField("secret")
    return shown
