"""Signatures, held against the reference implementation."""

from __future__ import annotations

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.delivery.domain import signing

KEY, OLD = bytes(range(32)), bytes(range(32, 64))
BODY = '{"type":"alert.triggered","data":{"note":"Pokémon"}}'.encode()


def signed(*keys: bytes) -> dict[str, str]:
    return signing.headers("msg_1", int(time.time()), BODY, keys)


@pytest.mark.parametrize("key", [KEY, OLD])
def test_each_key_of_a_rotation_verifies(key: bytes) -> None:
    Webhook(signing.encode_secret(key)).verify(BODY, signed(KEY, OLD))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY + b" ", {}),
        (BODY, {"webhook-id": "msg_2"}),
        (BODY, {"webhook-timestamp": str(int(time.time()) - 1)}),
    ],
)
def test_what_was_changed_does_not_verify(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.encode_secret(KEY)).verify(body, signed(KEY) | headers)


def test_a_key_that_did_not_sign_does_not_verify() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.encode_secret(OLD)).verify(BODY, signed(KEY))


@pytest.mark.parametrize("secret", ["", "abc", "whsec_???", "whsec_YQ=", "WHSEC_YWJj"])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="a secret"):
        signing.decode_secret(secret)
