"""The DKIM keys that this installation itself signs with, as DNS must hold them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from libs.config import ConfigError
from services.delivery.domain.authentication.keys import ED25519, RSA
from services.delivery.domain.authentication.subject import SigningKey


def own_keys(domain: str, selectors: Iterable[tuple[str, bytes]]) -> tuple[SigningKey, ...]:
    """The public halves of (selector, private key in PEM) that sign for `domain`.

    Raises ConfigError.
    """
    return tuple(_public(name.lower(), domain.lower(), pem) for name, pem in selectors)


def _public(selector: str, domain: str, pem: bytes) -> SigningKey:
    fault = ConfigError([f"PQ_EMAIL_DKIM: the key of {selector} is no RSA or Ed25519 key in PEM"])
    try:
        private = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise fault from error
    if isinstance(private, RSAPrivateKey):
        der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return SigningKey(selector, domain, b64encode(der).decode(), RSA)
    if isinstance(private, Ed25519PrivateKey):
        raw = private.public_key().public_bytes_raw()
        return SigningKey(selector, domain, b64encode(raw).decode(), ED25519)
    raise fault
