"""Signing keys at rest: sealed with AES-256-GCM under keys that the operator holds in a file."""

from __future__ import annotations

import hmac
import os
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Signer: TypeAlias = Callable[[bytes], bytes]
# What is sealed for one purpose cannot be passed off as something else.
SECRET, PRIVATE_KEY, HEADERS = b"", b"ed25519", b"headers"

_NONCE = 12
_KEY = 32
# As many opened keys stay in memory; opening one costs some microseconds.
_CACHED = 10_000


class VaultError(Exception):
    """A key is missing or wrong: no delivery of that endpoint can be signed."""


class Vault:
    """Seals and opens. `keys` are by id; `current` seals what is new."""

    def __init__(
        self,
        keys: Mapping[str, bytes],
        current: str,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.current = current
        self._ciphers = {id: AESGCM(key) for id, key in keys.items()}
        self._keys = [keys[current], *(key for id, key in keys.items() if id != current)]
        self._random = random
        self._opened = lru_cache(maxsize=_CACHED)(self._open)
        self._signers = lru_cache(maxsize=_CACHED)(self._signer)

    @classmethod
    def load(cls, path: Path) -> Vault:
        """Reads a file of lines "<id> <base64 of 32 bytes>"; the first line's key is the current.

        Raises VaultError.
        """
        keys: dict[str, bytes] = {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            id, _, text = line.strip().partition(" ")
            try:
                key = a2b_base64(text, strict_mode=True)
            except ValueError:
                key = b""
            if len(key) != _KEY or id in keys:
                raise VaultError(f"{path}: line {number} is not an id and base64 of {_KEY} bytes")
            keys[id] = key
        if not keys:
            raise VaultError(f"{path}: holds no key")
        return cls(keys, next(iter(keys)))

    def derive(self, purpose: bytes) -> list[bytes]:
        """Keys for another purpose, one that follows from each key; the current one's first."""
        return [hmac.digest(key, purpose, "sha256") for key in self._keys]

    def seal(self, endpoint: UUID, data: bytes, purpose: bytes = SECRET) -> bytes:
        """The data, sealed with the current key, for this endpoint and purpose alone."""
        nonce = self._random(_NONCE)
        return nonce + self._ciphers[self.current].encrypt(nonce, data, endpoint.bytes + purpose)

    def open(self, endpoint: UUID, key_id: str, sealed: bytes, purpose: bytes = SECRET) -> bytes:
        """The inverse of `seal`. Raises VaultError."""
        return self._opened(endpoint, key_id, sealed, purpose)

    def signer(self, endpoint: UUID, key_id: str, sealed: bytes) -> Signer:
        """What signs with the sealed ed25519 key. Raises VaultError."""
        return self._signers(endpoint, key_id, sealed)

    def _open(self, endpoint: UUID, key_id: str, sealed: bytes, purpose: bytes) -> bytes:
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise VaultError(f"no key {key_id!r} among those configured")
        try:
            return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], endpoint.bytes + purpose)
        except InvalidTag:
            raise VaultError(f"key {key_id!r} does not open this secret") from None

    def _signer(self, endpoint: UUID, key_id: str, sealed: bytes) -> Signer:
        private = self._open(endpoint, key_id, sealed, PRIVATE_KEY)
        return Ed25519PrivateKey.from_private_bytes(private).sign


def public_key(private: bytes) -> bytes:
    """The ed25519 public key, 32 bytes, of a private one, any 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
