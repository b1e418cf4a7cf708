"""Ed25519 keys in files: a folder of public keys, and each service's own private key.

A key's id is its file's stem. What comes before the first dot of it is the issuer, so that an
issuer can have several keys at once while one takes over from another: "gateway.pem" and
"gateway.2.pem" both speak for "gateway".
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.clock import Clock

log = logging.getLogger(__name__)


class KeyFileError(Exception):
    """A key file that cannot be read; the message names the file and says why."""


def issuer_of(kid: str) -> str:
    """Whom a key speaks for."""
    return kid.partition(".")[0]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its id."""

    kid: str
    key: Ed25519PrivateKey

    @property
    def issuer(self) -> str:
        """Whom the key speaks for."""
        return issuer_of(self.kid)

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Reads an unencrypted PKCS #8 PEM file. Raises KeyFileError."""
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise KeyFileError(f"{path}: {_why(error)}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path}: expected an Ed25519 private key")
        return cls(path.stem, key)


class PublicKeys:
    """The public keys of a folder, read again when the folder has changed.

    It looks at most every `recheck` seconds. `generation` grows with each change, so that whoever
    remembers verdicts can forget them.
    """

    def __init__(self, folder: Path, clock: Clock, *, recheck: float = 2.0) -> None:
        self._folder = folder
        self._clock = clock
        self._recheck = recheck
        self._due = float("-inf")
        self._seen: object = None
        self._keys: dict[str, Ed25519PublicKey] = {}
        self.generation = 0

    def get(self, kid: str) -> Ed25519PublicKey | None:
        """The key of this id, if there is one. For an unknown one it looks again at once."""
        self.refresh()
        if kid not in self._keys:
            self._read()
        return self._keys.get(kid)

    def refresh(self) -> None:
        """Looks whether the folder changed, if it is time to."""
        now = self._clock.monotonic()
        if now < self._due:
            return
        self._due = now + self._recheck
        self._read()

    def _read(self) -> None:
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        self._keys = dict(_read_folder(self._folder))
        self.generation += 1
        log.info("public keys read", extra={"kids": sorted(self._keys)})

    def _look(self) -> object:
        try:
            with os.scandir(self._folder) as entries:
                return sorted(
                    (entry.name, entry.stat().st_mtime_ns, entry.stat().st_size)
                    for entry in entries
                    if entry.name.endswith(".pem")
                )
        except OSError as error:
            log.warning("the folder of public keys cannot be read", extra={"error": str(error)})
            return self._seen


def generate(kid: str, private: Path, public: Path) -> None:
    """Makes a key pair `<kid>.pem` in the two folders; leaves one alone that is there."""
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    public.mkdir(parents=True, exist_ok=True)
    secret = private / f"{kid}.pem"
    if not secret.exists():
        _write_private(secret, Ed25519PrivateKey.generate())
    shown = SigningKey.load(secret).key.public_key()
    pem = shown.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    target = public / f"{kid}.pem"
    if not target.exists() or target.read_bytes() != pem:
        _replace(target, pem, 0o644)


def _write_private(path: Path, key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _replace(path, pem, 0o600)


def _replace(path: Path, data: bytes, mode: int) -> None:
    # Written aside and moved, so that nobody ever reads half a key.
    aside = path.with_suffix(".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    aside.replace(path)


def _read_folder(folder: Path) -> list[tuple[str, Ed25519PublicKey]]:
    found = []
    for path in sorted(folder.glob("*.pem")):
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            log.warning(
                "a public key was passed over", extra={"file": path.name, "error": _why(error)}
            )
            continue
        if isinstance(key, Ed25519PublicKey):
            found.append((path.stem, key))
        else:
            log.warning(
                "a public key is not Ed25519 and was passed over", extra={"file": path.name}
            )
    return found


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not a PEM key file"
