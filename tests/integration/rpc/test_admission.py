"""Nobody gets past a rule, in any of the four shapes."""

import logging
import uuid
from datetime import timedelta

import pytest

from libs.auth import ANONYMOUS, Caller, Role, caller
from libs.auth.keys import SigningKey
from libs.clock import SystemClock
from libs.errors import AppError, Kind
from libs.rpc import client
from libs.rpc.server import MissingRuleError, Server
from libs.testing.rpc import operator, service, serving
from tests.integration.rpc.echo import SHAPES, Echo, Servicer, Stub, adder, ask

ACCOUNT = Caller.for_account(uuid.UUID(int=5))
READER = Caller.for_account(uuid.UUID(int=5), read_only=True)
shapes = pytest.mark.parametrize("shape", SHAPES)


@pytest.fixture
async def server():
    servicers = [
        (adder(rule), Servicer())
        for rule in ("Open", "Account", "AccountReads", "Operator", "Service")
    ]
    async with serving(*servicers) as running:
        yield running


async def refusal(server, rule, shape, caller=None, token=None):
    identity = client.Bearer(token) if token is not None else None
    if caller is not None:
        channel = server.channel(caller)
    else:
        channel = client.open_channel(server.target, identity)
    try:
        with pytest.raises(AppError) as caught:
            await ask(Stub(channel, rule), shape, "")
    finally:
        await channel.close()
    return caught.value.kind, caught.value.reason


@shapes
async def test_whoever_may_call_is_answered(server, shape):
    for rule, who in [
        ("Open", ANONYMOUS),
        ("Open", ACCOUNT),
        ("Account", ACCOUNT),
        ("AccountReads", READER),
        ("Operator", operator(Role.OPERATOR)),
        ("Operator", operator(Role.ADMIN)),
        ("Service", service("alerts")),
    ]:
        assert await ask(Stub(server.channel(who), rule), shape) == "ab", (rule, who)


@shapes
async def test_whoever_may_not_is_told_why(server, shape):
    forbidden, unauthenticated = Kind.FORBIDDEN, Kind.UNAUTHENTICATED
    for rule, who, expected in [
        ("Account", ANONYMOUS, (unauthenticated, "token_missing")),
        ("Account", READER, (forbidden, "read_only_token")),
        ("Account", operator(Role.ADMIN), (forbidden, "role_too_low")),
        ("Operator", operator(Role.VIEWER), (forbidden, "role_too_low")),
        ("Operator", operator(Role.INGEST), (forbidden, "role_too_low")),
        ("Operator", ACCOUNT, (forbidden, "account_not_allowed")),
        ("Service", ACCOUNT, (forbidden, "account_not_allowed")),
        ("Operator", service("alerts"), (forbidden, "service_not_allowed")),
    ]:
        assert await refusal(server, rule, shape, caller=who) == expected, (rule, who)


@shapes
async def test_bad_tokens_open_nothing_not_even_what_is_open(server, shape):
    now = SystemClock().now()
    keys = server.keys
    expired, _ = keys.minter().mint_for(ACCOUNT, now - timedelta(minutes=10))
    foreign, _ = _stranger().mint_for(ACCOUNT, now)
    usurped, _ = keys.minter("alerts").mint_for(ACCOUNT, now)
    for token, expected in [
        (expired, "token_expired"),
        (foreign, "token_signature"),
        (usurped, "token_issuer"),
        (_for_another(keys, now), "token_audience"),
        ("nonsense", "token_malformed"),
    ]:
        for rule in ("Open", "Account"):
            found = await refusal(server, rule, shape, token=token)
            assert found == (Kind.UNAUTHENTICATED, expected)


async def test_another_scheme_is_refused(server):
    stub = Stub(server.channel(), "Open")
    with pytest.raises(AppError, match="Bearer"):
        await stub.Unary(Echo(), metadata=[("authorization", "Basic eA==")])


def test_an_rpc_without_a_rule_is_not_served(tmp_path):
    from libs.testing.rpc import TestKeys

    server = Server("127.0.0.1:0", TestKeys(tmp_path, SystemClock()).verifier())
    with pytest.raises(MissingRuleError) as caught:
        server.add(adder("Bare"), Servicer())
    assert caught.value.methods == tuple(f"pq.test.v1.Bare/{shape}" for shape in SHAPES)


@shapes
async def test_the_handler_sees_the_caller_and_the_next_call_another(shape):
    seen = []

    async def look(request):
        seen.append(caller())
        return request

    async with serving((adder("Open"), Servicer(look))) as server:
        await ask(Stub(server.channel(ACCOUNT), "Open"), shape, "a")
        await ask(Stub(server.channel(), "Open"), shape, "a")
    assert seen == [ACCOUNT, ANONYMOUS]
    assert caller() == ANONYMOUS


async def test_tokens_are_in_no_log(server, caplog):
    caplog.set_level(logging.DEBUG)
    token = server.keys.token(READER)
    await refusal(server, "Account", "Unary", token=token)
    assert token.split(".")[2] not in caplog.text


def _stranger():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from libs.auth.tokens import Minter

    return Minter(SigningKey("gateway", Ed25519PrivateKey.generate()))


def _for_another(keys, now):
    import jwt

    claims = {"iss": "gateway", "sub": "x", "kind": "account", "aud": "elsewhere"}
    claims |= {"acc": str(ACCOUNT.account), "iat": now.timestamp(), "exp": now.timestamp() + 60}
    key = SigningKey.load(keys.private / "gateway.pem").key
    return jwt.encode(claims, key, "EdDSA", headers={"kid": "gateway"})
