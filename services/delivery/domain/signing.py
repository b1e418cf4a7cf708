"""Signatures by Standard Webhooks, version 1 (github.com/standard-webhooks/standard-webhooks).

The signed text is "<webhook-id>.<webhook-timestamp>.<body>"; the signature header lists one
"v1,<base64 of HMAC-SHA256>" a key, with a space between.
"""

from __future__ import annotations

import hmac
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterable

PREFIX = "whsec_"
KEY_BYTES = 32


def encode_secret(key: bytes) -> str:
    """The public form of a key."""
    return PREFIX + b2a_base64(key, newline=False).decode()


def decode_secret(secret: str) -> bytes:
    """The inverse of `encode_secret`. Raises ValueError."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a secret starts with {PREFIX}")
    try:
        return a2b_base64(secret.removeprefix(PREFIX), strict_mode=True)
    except Error as error:
        raise ValueError("a secret is base64") from error


def headers(webhook_id: str, timestamp: int, body: bytes, keys: Iterable[bytes]) -> dict[str, str]:
    """The three headers for `body`; `timestamp` is the attempt's, in seconds since 1970."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = (b2a_base64(hmac.digest(key, signed, "sha256"), newline=False) for key in keys)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join("v1," + signature.decode() for signature in signatures),
    }
