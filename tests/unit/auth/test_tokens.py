"""Access tokens: what is minted is believed, and nothing else."""

import json
import uuid
from base64 import urlsafe_b64encode
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.auth import ANONYMOUS, Caller, Role
from libs.auth.keys import PublicKeys, SigningKey
from libs.auth.tokens import CallerTokens, Minter, Verifier
from libs.errors import AppError, Kind
from libs.testing.rpc import TestKeys

ACCOUNT = Caller.for_account(uuid.UUID(int=5))
OPERATOR = Caller.for_operator("tokens/tok_1", Role.INGEST)


@pytest.fixture
def keys(tmp_path, clock):
    return TestKeys(tmp_path, clock)


@pytest.fixture
def verifier(keys):
    return keys.verifier()


def refusal(verifier, token):
    with pytest.raises(AppError) as caught:
        verifier.verify(token)
    assert caught.value.kind is Kind.UNAUTHENTICATED
    return caught.value.reason


def sign(keys, clock, issuer="gateway", *, drop=(), headers=None, **changed):
    """A token with claims of the test's own making, by the real key of `issuer`."""
    now = int(clock.now().timestamp())
    claims = {
        "iss": issuer,
        "sub": "x",
        "kind": "account",
        "aud": "pq",
        "iat": now,
        "exp": now + 60,
    }
    claims |= {"acc": str(ACCOUNT.account), **changed}
    for name in drop:
        del claims[name]
    key = SigningKey.load(keys.private / f"{issuer}.pem").key
    return jwt.encode(claims, key, "EdDSA", headers=headers or {"kid": issuer})


@pytest.mark.parametrize(
    "caller",
    [
        ACCOUNT,
        Caller.for_account(uuid.UUID(int=6), read_only=True),
        OPERATOR,
        Caller.for_operator("tokens/tok_2", Role.VIEWER, read_only=True),
        Caller.for_service("alerts"),
    ],
)
def test_what_was_minted_is_believed_word_for_word(keys, verifier, caller):
    assert verifier.verify(keys.token(caller)) == caller


def test_a_token_ends_even_when_its_verdict_is_remembered(keys, verifier, clock):
    token = keys.token(ACCOUNT)
    clock.advance(299)
    assert verifier.verify(token) == ACCOUNT
    clock.advance(1)
    assert refusal(verifier, token) == "token_expired"


def test_nobody_has_no_token(keys, clock):
    with pytest.raises(ValueError, match="anonymous"):
        keys.minter().mint_for(ANONYMOUS, clock.now())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"aud": "other"}, "token_audience"),
        ({"iss": "alerts"}, "token_issuer"),
        ({"kind": "anonymous"}, "token_issuer"),
        ({"kind": "king"}, "token_malformed"),
        ({"kind": "operator"}, "token_issuer"),
        ({"role": "admin"}, "token_issuer"),
        ({"kind": "operator", "acc": None, "role": "emperor"}, "token_malformed"),
        ({"acc": "7"}, "token_malformed"),
        ({"acc": 7}, "token_malformed"),
        ({"drop": ["acc"]}, "token_issuer"),
        ({"drop": ["exp"]}, "token_malformed"),
        ({"drop": ["aud"]}, "token_malformed"),
        ({"exp": "soon"}, "token_malformed"),
        ({"exp": True}, "token_malformed"),
        ({"kind": "service", "sub": "gateway"}, "token_issuer"),
        ({"headers": {"kid": "nobody"}}, "token_unknown_key"),
        ({"headers": {"kid": "alerts"}}, "token_signature"),
        ({"headers": {"typ": "JWT"}}, "token_unknown_key"),
    ],
)
def test_each_lie_is_named(keys, verifier, clock, changed, reason):
    keys.minter("alerts")
    assert refusal(verifier, sign(keys, clock, **changed)) == reason


def test_a_service_speaks_for_itself_alone(keys, verifier, clock):
    service = keys.minter("alerts")
    for somebody in (ACCOUNT, OPERATOR, Caller.for_service("market")):
        token, _ = service.mint_for(somebody, clock.now())
        assert refusal(verifier, token) == "token_issuer"
    token, _ = service.mint_service(clock.now())
    assert verifier.verify(token) == Caller.for_service("alerts")


def test_a_foreign_key_of_a_known_name_is_refused(keys, verifier, clock):
    forged = Minter(SigningKey("gateway", Ed25519PrivateKey.generate()))
    token, _ = forged.mint_for(OPERATOR, clock.now())
    assert refusal(verifier, token) == "token_signature"


def test_times_that_cannot_be(keys, verifier, clock):
    now = int(clock.now().timestamp())
    assert refusal(verifier, sign(keys, clock, exp=now + 3600)) == "token_too_long"
    assert refusal(verifier, sign(keys, clock, iat=now + 60)) == "token_not_yet_valid"
    assert verifier.verify(sign(keys, clock, iat=now + 4)).account == ACCOUNT.account


@pytest.mark.parametrize(
    "text", ["", "x", "a.b.c", "é.é.é", "x" * 3000, "eyJhbGciOiJub25lIn0.e30."]
)
def test_what_is_no_token(verifier, text):
    assert refusal(verifier, text) in ("token_malformed", "token_unknown_key")


def test_other_algorithms_are_refused(keys, verifier, clock):
    # The classic: an HMAC whose secret is the public key.
    head = urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "gateway"}).encode()).rstrip(b"=")
    body = sign(keys, clock).split(".")[1]
    assert refusal(verifier, f"{head.decode()}.{body}.AAAA") == "token_malformed"


def test_a_removed_key_stops_at_once_and_a_new_one_starts(tmp_path, clock):
    keys = TestKeys(tmp_path, clock)
    verifier = Verifier(PublicKeys(keys.public, clock, recheck=2), clock)
    token = keys.token(ACCOUNT)
    assert verifier.verify(token) == ACCOUNT
    successor = keys.minter("gateway.2")
    (keys.public / "gateway.pem").unlink()
    assert verifier.verify(token) == ACCOUNT, "looked at too often"
    clock.advance(2)
    assert refusal(verifier, token) == "token_unknown_key"
    token, _ = successor.mint_for(ACCOUNT, clock.now())
    assert verifier.verify(token) == ACCOUNT
    token, _ = keys.minter("gateway.3").mint_for(ACCOUNT, clock.now())
    assert verifier.verify(token) == ACCOUNT, "a new key is not waited for"


def test_a_broken_key_file_does_not_hide_the_others(tmp_path, clock):
    keys = TestKeys(tmp_path, clock)
    (keys.public / "aaa.pem").write_text("not a key")
    assert keys.verifier().verify(keys.token(ACCOUNT)) == ACCOUNT


def test_private_keys_are_for_their_owner_alone(keys):
    assert (keys.private / "gateway.pem").stat().st_mode & 0o777 == 0o600


def test_tokens_are_handed_out_again_for_half_their_life(keys, clock):
    tokens = CallerTokens(keys.minter(), clock, size=2)
    first = tokens.token(ACCOUNT)
    clock.advance(149)
    assert tokens.token(ACCOUNT) == first
    clock.advance(1)
    second = tokens.token(ACCOUNT)
    assert second != first
    tokens.token(OPERATOR)
    tokens.token(Caller.for_account(uuid.UUID(int=9)))
    clock.advance(1)
    assert tokens.token(ACCOUNT) != second, "the oldest had to make room"


def test_verdicts_are_remembered_within_bounds(keys, clock, monkeypatch):
    verifier = Verifier(PublicKeys(keys.public, clock), clock, size=2)
    checked = []
    check = Verifier._check
    monkeypatch.setattr(
        Verifier,
        "_check",
        lambda self, token, now: checked.append(token) or check(self, token, now),
    )
    minter = keys.minter()
    a, b, c = (minter.mint_for(ACCOUNT, clock.now(), timedelta(seconds=s))[0] for s in (10, 20, 30))
    for token in (a, a, b, c, c, a):
        verifier.verify(token)
    assert checked == [a, b, c, a]
