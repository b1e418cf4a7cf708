"""What signs, from creation through a rotation to its end; checked by others' implementations."""

from __future__ import annotations

from base64 import b64decode, b64encode
from itertools import pairwise

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from standardwebhooks import Webhook, WebhookVerificationError

from libs.errors import Kind
from libs.testing.rpc import account as as_account
from pq.delivery.v1 import delivery_pb2 as pb
from pq.delivery.v1 import delivery_pb2_grpc as grpc_pb
from services.delivery.handlers.sweeping import Sweeps
from services.delivery.store.vault import Vault
from tests.integration.delivery.test_rpcs import create, refused, served

CURRENT, NEXT = pb.SIGNING_KEY_ROLE_CURRENT, pb.SIGNING_KEY_ROLE_NEXT
DAY = 86_400


class Keys:
    """EndpointService and WebhookKeyService as an owner and as a receiver use them."""

    def __init__(self, server, account) -> None:
        self.endpoints = grpc_pb.EndpointServiceStub(server.channel(as_account(account)))
        self._public = grpc_pb.WebhookKeyServiceStub(server.channel())

    async def signing(self, made: pb.Endpoint) -> pb.EndpointSigning:
        name = made.name + "/signing"
        return await self.endpoints.GetEndpointSigning(pb.GetEndpointSigningRequest(name=name))

    async def public(self, made: pb.Endpoint) -> list[str]:
        asked = pb.GetWebhookKeysRequest(endpoint=made.name.removeprefix("endpoints/"))
        return [key.public_key for key in (await self._public.GetWebhookKeys(asked)).keys]

    async def rotate(self, made: pb.Endpoint, days: float, secret: str = "") -> pb.EndpointSecret:
        overlap = Duration(seconds=round(days * DAY))
        return await self.endpoints.RotateSecret(
            pb.RotateSecretRequest(endpoint=made.name, overlap=overlap, secret=secret)
        )


@pytest.fixture
async def keys(world, account):
    async with served(world) as server:
        yield Keys(server, account)


@pytest.fixture
async def send(world, receiver, account):
    """Sends one message more and answers it as it arrived."""
    sender = await world.sender()

    async def send_one():
        await world.tell(sender, world.fired(account))
        return (await receiver.wait_for(len(receiver.arrivals) + 1))[-1]

    return send_one


def kinds(arrival) -> list[str]:
    return [part.partition(",")[0] for part in arrival.headers["webhook-signature"].split()]


def verified_v1(secret: str, arrival) -> bool:
    try:
        Webhook(secret).verify(arrival.body, arrival.headers)
    except WebhookVerificationError:
        return False
    return True


def verified_v1a(public_key: str, arrival) -> bool:
    key = Ed25519PublicKey.from_public_bytes(b64decode(public_key.removeprefix("whpk_")))
    id, time = arrival.headers["webhook-id"], arrival.headers["webhook-timestamp"]
    signed = f"{id}.{time}.".encode() + arrival.body
    for part in arrival.headers["webhook-signature"].split():
        kind, _, signature = part.partition(",")
        try:
            if kind == "v1a" and key.verify(b64decode(signature), signed) is None:
                return True
        except InvalidSignature:
            continue
    return False


async def test_a_delivery_carries_both_kinds_and_each_verifies(keys, send, receiver):
    made = await keys.endpoints.CreateEndpoint(create(receiver.url()))
    arrival = await send()
    assert kinds(arrival) == ["v1", "v1a"]
    [public] = await keys.public(made)
    assert public.startswith("whpk_")
    assert verified_v1(made.secret, arrival)
    assert verified_v1a(public, arrival)
    other = await keys.endpoints.CreateEndpoint(create(receiver.url("/other")))
    [others] = await keys.public(other)
    assert not verified_v1a(others, arrival)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([pb.SIGNATURE_KIND_V1], ["v1"]),
        ([pb.SIGNATURE_KIND_V1A], ["v1a"]),
        ([pb.SIGNATURE_KIND_V1A, pb.SIGNATURE_KIND_V1], ["v1", "v1a"]),
    ],
)
async def test_an_endpoint_chooses_its_signatures(keys, send, receiver, chosen, expected):
    made = await keys.endpoints.CreateEndpoint(create(receiver.url(), signatures=chosen))
    assert kinds(await send()) == expected
    assert list((await keys.signing(made)).signatures) == expected


async def test_a_whole_rotation(keys, send, receiver, world):
    made = await keys.endpoints.CreateEndpoint(create(receiver.url()))
    [old] = (await keys.signing(made)).keys
    assert (old.role, old.version, old.HasField("expire_time")) == (CURRENT, 1, False)
    [old_public] = await keys.public(made)

    rotated = await keys.rotate(made, 7)
    during = await keys.signing(made)
    assert [(key.role, key.version) for key in during.keys] == [(NEXT, 2), (CURRENT, 1)]
    assert during.keys[1].fingerprint == old.fingerprint != during.keys[0].fingerprint
    assert during.keys[1].expire_time == rotated.previous_expire_time
    assert not during.keys[0].HasField("expire_time")
    assert list(during.signatures) == ["v1", "v1", "v1a", "v1a"]
    [new_public, still] = await keys.public(made)
    assert (still, during.keys[0].public_key) == (old_public, new_public)

    arrival = await send()
    assert kinds(arrival) == ["v1", "v1", "v1a", "v1a"]
    assert verified_v1(made.secret, arrival)
    assert verified_v1(rotated.secret, arrival)
    assert verified_v1a(old_public, arrival)
    assert verified_v1a(new_public, arrival)

    await world.db.execute("update endpoint_secrets set expire_time = now() where version = 1")
    [after] = (await keys.signing(made)).keys
    assert (after.role, after.version) == (CURRENT, 2)
    assert await keys.public(made) == [new_public]
    arrival = await send()
    assert kinds(arrival) == ["v1", "v1a"]
    assert verified_v1(rotated.secret, arrival)
    assert not verified_v1(made.secret, arrival)
    assert verified_v1a(new_public, arrival)
    assert not verified_v1a(old_public, arrival)


async def test_without_overlap_the_old_secret_stops_at_once(keys, send, receiver):
    made = await keys.endpoints.CreateEndpoint(create(receiver.url()))
    rotated = await keys.rotate(made, 0)
    arrival = await send()
    assert kinds(arrival) == ["v1", "v1a"]
    assert (verified_v1(made.secret, arrival), verified_v1(rotated.secret, arrival)) == (
        False,
        True,
    )


async def test_a_rotation_within_a_rotation_keeps_two_secrets(keys, send, receiver):
    made = await keys.endpoints.CreateEndpoint(create(receiver.url()))
    secrets = [made.secret] + [(await keys.rotate(made, 1)).secret for _ in range(2)]
    arrival = await send()
    assert [verified_v1(secret, arrival) for secret in secrets] == [False, True, True]
    numbers = [key.version for key in (await keys.signing(made)).keys]
    assert numbers == [3, 2]


async def test_owners_may_bring_their_own_next_secret(keys, send, receiver):
    made = await keys.endpoints.CreateEndpoint(create(receiver.url()))
    own = "whsec_" + b64encode(bytes(range(24))).decode()
    assert (await keys.rotate(made, 1, own)).secret == own
    assert verified_v1(own, await send())


@pytest.mark.parametrize(
    ("days", "secret", "field", "reason"),
    [
        (7.001, "", "overlap", "out_of_range"),
        (-1, "", "overlap", "out_of_range"),
        (1, "whsec_!", "secret", "secret_malformed"),
        (1, "abc", "secret", "secret_malformed"),
        (1, "whsec_" + b64encode(bytes(23)).decode(), "secret", "secret_length"),
        (1, "whsec_" + b64encode(bytes(65)).decode(), "secret", "secret_length"),
    ],
)
async def test_a_bad_rotation_names_the_field(keys, days, secret, field, reason):
    made = await keys.endpoints.CreateEndpoint(create())
    error = await refused(keys.rotate(made, days, secret))
    assert [(v.field, v.reason) for v in error.violations] == [(field, reason)]
    assert len((await keys.signing(made)).keys) == 1


async def test_what_is_not_there_has_no_keys(keys, world):
    for id in ("ep_" + "0" * 26, "alr_" + "0" * 26, ""):
        error = await refused(keys.public(pb.Endpoint(name="endpoints/" + id)))
        assert error.kind is (Kind.NOT_FOUND if id.startswith("ep_") else Kind.INVALID)


async def test_endpoints_from_before_get_their_key_pairs(keys, send, receiver, world):
    made = await keys.endpoints.CreateEndpoint(create(receiver.url()))
    await world.db.execute(
        "update endpoint_secrets set signer_sealed = null, public_key = null, create_time = null"
    )
    assert await keys.public(made) == []
    assert kinds(await send()) == ["v1"]
    asked = pb.Endpoint(name=made.name, signatures=[pb.SIGNATURE_KIND_V1A])
    await keys.endpoints.UpdateEndpoint(
        pb.UpdateEndpointRequest(endpoint=asked, update_mask=FieldMask(paths=["signatures"]))
    )
    assert kinds(await send()) == ["v1"]  # better than none
    assert await world.sweeps.complete() == 1
    assert await world.sweeps.complete() == 0
    [public] = await keys.public(made)
    arrival = await send()
    assert kinds(arrival) == ["v1a"]
    assert verified_v1a(public, arrival)


async def test_the_operators_key_is_rotated_under_all_that_is_sealed(keys, world, tmp_path):
    """Secrets, key pairs and headers are sealed anew; then the old key can go."""
    made = [
        await keys.endpoints.CreateEndpoint(create(headers={"authorization": f"Bearer {n}"}))
        for n in range(3)
    ]
    before = [await world.target(endpoint.name) for endpoint in made]
    await world.lose_key(made[1].name)
    ring = Vault({"k1": bytes(32), "k2": bytes(range(32))}, "k2")
    assert await Sweeps(world.db, ring, 1.0).reseal() == 2
    assert await Sweeps(world.db, ring, 1.0).reseal() == 0
    world.vault = Vault({"k2": bytes(range(32))}, "k2")
    after = [await world.target(endpoint.name) for endpoint in made]
    for n in (0, 2):
        assert (after[n].keys, after[n].headers) == (before[n].keys, before[n].headers)
        assert after[n].signers[0](b"x") == before[n].signers[0](b"x")
    assert (after[1].keys, after[1].signers) == ((), ())
    assert all(a.endpoint < b.endpoint for a, b in pairwise(after))
