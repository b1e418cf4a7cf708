"""The tokens in the links of e-mail: they say which address may do what, and until when.

A token is signed, not encrypted. The keys come from those that seal signing secrets, so that what
rotates them rotates these: the first signs, and the others still count, for an unsubscribe link
must work as long as the mail lies in somebody's folder.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from uuid import UUID

from libs.errors import AppError, Kind

PURPOSE = b"pq email links v1"
_MAC = 16
_SIZE = 1 + 16 + 5 + _MAC


class LinkKind(IntEnum):
    """What a link is for."""

    CONFIRM = 1
    UNSUBSCRIBE = 2


class Links:
    """Makes and checks tokens, and the links around them. `base` is the public REST URL; the keys
    are for PURPOSE alone."""

    def __init__(self, keys: Sequence[bytes], base: str) -> None:
        self._keys = tuple(keys)
        self._base = base.rstrip("/")

    @property
    def base(self) -> str:
        """The public REST URL, without a slash at its end."""
        return self._base

    def confirm(self, address: UUID, expiry: datetime) -> str:
        """Where a reader confirms; the same for the same address and time."""
        return f"{self._base}/v1/confirmations/{self.token(LinkKind.CONFIRM, address, expiry)}"

    def unsubscribe(self, address: UUID) -> str:
        """Where a reader ends it; always the same."""
        return f"{self._base}/v1/unsubscriptions/{self.token(LinkKind.UNSUBSCRIBE, address, None)}"

    def token(self, kind: LinkKind, address: UUID, expiry: datetime | None) -> str:
        """The token alone; without `expiry` it holds for ever."""
        seconds = int(expiry.timestamp()) if expiry is not None else 0
        body = bytes([kind]) + address.bytes + seconds.to_bytes(5)
        return base64.urlsafe_b64encode(body + self._mac(self._keys[0], body)).rstrip(b"=").decode()

    def open(self, token: str, kind: LinkKind, now: datetime) -> UUID:
        """The address that the token speaks of.

        Raises AppError: NOT_FOUND for one that is none of ours, PRECONDITION for one that expired.
        """
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        except ValueError:
            raw = b""
        body, mac = raw[:-_MAC], raw[-_MAC:]
        genuine = [hmac.compare_digest(mac, self._mac(key, body)) for key in self._keys]
        if len(raw) != _SIZE or not any(genuine) or body[0] != kind:
            raise AppError(Kind.NOT_FOUND, "link_invalid", "this link is not one of ours")
        seconds = int.from_bytes(body[17:])
        if seconds and now >= datetime.fromtimestamp(seconds, UTC):
            raise AppError(
                Kind.PRECONDITION, "link_expired", "this link has expired; ask for a new one"
            )
        return UUID(bytes=body[1:17])

    @staticmethod
    def _mac(key: bytes, body: bytes) -> bytes:
        return hmac.digest(key, body, "sha256")[:_MAC]
