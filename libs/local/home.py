"""The folder everything of one local product lives in (PQ_HOME, ".pq")."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.auth import keys


class HomeError(Exception):
    """The folder cannot be used; the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where things are."""

    path: Path

    @property
    def public_keys(self) -> Path:
        """The public keys of all services."""
        return self.path / "keys" / "public"

    @property
    def postgres(self) -> Path:
        """The embedded server's folder."""
        return self.path / "postgres"

    @property
    def admin_token(self) -> Path:
        """The token that local commands speak with."""
        return self.path / "secrets" / "admin-token"

    @property
    def endpoints(self) -> Path:
        """Where the running product is reached."""
        return self.path / "run" / "endpoints.json"

    @property
    def processes(self) -> Path:
        """Which processes run: {name: {"pid", "created"}}."""
        return self.path / "run" / "processes.json"

    def private_key(self, service: str) -> Path:
        """A service's own key."""
        return self.path / "keys" / f"{service}.pem"

    def secret(self, name: str) -> Path:
        """A file of 32 random bytes."""
        return self.path / "secrets" / name

    def log(self, service: str) -> Path:
        """What a service writes."""
        return self.path / "logs" / f"{service}.jsonl"

    def prepare(self, services: list[str], secret_files: list[str]) -> None:
        """Makes folders, keys and secrets that are not there. Raises HomeError."""
        try:
            for part in (".", "keys", "secrets", "logs", "run"):
                (self.path / part).mkdir(mode=0o700, parents=True, exist_ok=True)
            for service in services:
                keys.generate(service, self.path / "keys", self.public_keys)
            for name in secret_files:
                self.keep(self.secret(name), lambda: secrets.token_bytes(32))
            # A key ring: the first line's key seals, the others still open.
            ring = self.secret("delivery-secret-keys")
            self.keep(ring, lambda: b"k1 " + base64.b64encode(secrets.token_bytes(32)) + b"\n")
        except keys.KeyFileError as error:
            raise HomeError(str(error)) from error
        except OSError as error:
            raise HomeError(f"{self.path} cannot be used: {error}") from error

    def keep(self, path: Path, make: Callable[[], bytes]) -> None:
        """Writes a private file unless it is there."""
        if not path.exists():
            write_private(path, make())

    def lock(self) -> int:
        """Takes this home for this process, for as long as it lives. Raises HomeError."""
        try:
            for folder in (self.path, self.path / "run"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path / "run" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HomeError(f"{self.path} cannot be used: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise HomeError(f"{self.path} is in use by process {holder or '?'}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor


def write_private(path: Path, data: bytes) -> None:
    """Writes a file that only its owner reads, whole or not at all."""
    aside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    aside.replace(path)


def write_json(path: Path, document: Any) -> None:
    """Writes a document that only its owner reads, whole or not at all."""
    write_private(path, json.dumps(document, indent=2).encode())


def read_json(path: Path) -> dict[str, Any]:
    """The document; an empty one where there is none, or it cannot be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
