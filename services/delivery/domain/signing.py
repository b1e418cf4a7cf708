"""Signatures by Standard Webhooks (github.com/standard-webhooks/standard-webhooks).

The signed text is "<webhook-id>.<webhook-timestamp>.<body>"; the signature header lists one
"v1,<base64 of HMAC-SHA256>" a secret and one "v1a,<base64 of ed25519>" a key pair, with a space
between. Receivers take any that they know.
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Callable, Iterable

from libs.errors import invalid

PREFIX = "whsec_"
PUBLIC_PREFIX = "whpk_"
# Of a secret: what is made here, and what the standard lets owners bring.
KEY_BYTES = 32
LEAST_BYTES, MOST_BYTES = 24, 64


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


def check_secret(secret: str, field: str) -> bytes:
    """The key of a secret that an owner brought. Raises AppError (INVALID)."""
    try:
        key = decode_secret(secret)
    except ValueError as error:
        raise invalid(field, f"expected {PREFIX} and base64: {error}", "secret_malformed") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        told = f"expected {LEAST_BYTES} to {MOST_BYTES} bytes; got {len(key)}"
        raise invalid(field, told, "secret_length")
    return key


def encode_public_key(key: bytes) -> str:
    """The public form of an ed25519 public key."""
    return PUBLIC_PREFIX + b2a_base64(key, newline=False).decode()


def headers(
    webhook_id: str,
    timestamp: int,
    body: bytes,
    keys: Iterable[bytes],
    signers: Iterable[Callable[[bytes], bytes]] = (),
) -> dict[str, str]:
    """The three headers for `body`; `timestamp` is the attempt's, in seconds since 1970."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = [_shown("v1,", hmac.digest(key, signed, "sha256")) for key in keys]
    signatures += [_shown("v1a,", sign(signed)) for sign in signers]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _shown(kind: str, signature: bytes) -> str:
    return kind + b2a_base64(signature, newline=False).decode()


def fingerprint(key: bytes) -> str:
    """By which a secret is told from another without showing it: 16 hexadecimal digits."""
    return hashlib.sha256(key).hexdigest()[:16]
