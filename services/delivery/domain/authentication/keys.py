"""Public keys of DKIM, in whatever form people have them."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from services.delivery.domain.authentication.tags import parse_tags

RSA, ED25519 = "rsa", "ed25519"
_ED25519_BYTES = 32
_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PUBLIC KEY-----(.*?)-----END [A-Z ]*PUBLIC KEY-----", re.DOTALL
)


class BadKeyError(ValueError):
    """Not a public key; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`text` is what p= holds: base64 of the key (RFC 6376 for RSA, RFC 8463 for Ed25519)."""

    algorithm: str
    bits: int
    text: str


def parse_key(algorithm: str, text: str) -> PublicKey:
    """Reads what p= holds. Raises BadKeyError."""
    try:
        raw = b64decode(re.sub(r"\s", "", text).encode("ascii"), validate=True)
    except (Base64Error, UnicodeEncodeError) as error:
        raise BadKeyError("is not base64") from error
    if algorithm == ED25519 and len(raw) == _ED25519_BYTES:
        return PublicKey(ED25519, 256, b64encode(raw).decode())
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKeyError("holds no key that can be read") from error
    if isinstance(key, RSAPublicKey) and algorithm == RSA:
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return PublicKey(RSA, key.key_size, b64encode(der).decode())
    if isinstance(key, Ed25519PublicKey) and algorithm == ED25519:
        return PublicKey(ED25519, 256, b64encode(key.public_bytes_raw()).decode())
    raise BadKeyError(f"is no {algorithm} key")


def read_key(text: str) -> PublicKey:
    """Reads PEM, base64, or a whole DKIM record. Raises BadKeyError."""
    pem = _PEM.search(text)
    tags = parse_tags(text)
    body = pem[1] if pem else tags.get("p") if "p" in tags.values else text
    algorithms = (tags.get("k", RSA),) if "k" in tags.values else (RSA, ED25519)
    for algorithm in algorithms:
        try:
            return parse_key(algorithm, body)
        except BadKeyError as error:
            problem = error
    raise problem
