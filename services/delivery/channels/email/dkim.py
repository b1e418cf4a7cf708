"""DKIM signatures (RFC 6376) for relays that do not sign: several selectors, one at a time.

To rotate: publish the next selector's record, configure it with the time from which it signs, and
take the old one out some days after that, when nothing it signed is under way any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dkim as dkimpy

# What a reader sees, or a mailbox acts upon. Doubled, so that none can be added (RFC 6376 §8.15).
_SIGNED = (
    b"from from to to subject subject date message-id reply-to reply-to mime-version content-type"
    b" content-transfer-encoding list-unsubscribe list-unsubscribe-post feedback-id auto-submitted"
).split()
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Selector:
    """A key, the name its public half is published under, and from when on it signs."""

    name: str
    key: bytes
    valid_from: datetime = _ALWAYS


class Signer:
    """Signs for one domain, at each time with the selector that became valid last."""

    def __init__(self, domain: str, selectors: Sequence[Selector]) -> None:
        self._domain = domain.encode()
        self._selectors = sorted(selectors, key=lambda selector: selector.valid_from)

    def selector(self, now: datetime) -> Selector | None:
        """The one that signs at `now`; None before the first is valid."""
        valid = [selector for selector in self._selectors if selector.valid_from <= now]
        return valid[-1] if valid else None

    def sign(self, message: bytes, now: datetime) -> bytes:
        """The message with the signature in front; as it is where no selector is valid yet."""
        selector = self.selector(now)
        if selector is None:
            return message
        signature: bytes = dkimpy.sign(
            message,
            selector.name.encode(),
            self._domain,
            selector.key,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=_SIGNED,
        )
        return signature + message


def parse_selector(text: str) -> Selector:
    """Of "selector:key file", or with ":time from which it signs" (RFC 3339) after them.

    Raises ValueError.
    """
    name, colon, rest = text.strip().partition(":")
    path, _, start = rest.partition(":")
    if not colon or not name or not path:
        raise ValueError("expected selector:keyfile or selector:keyfile:time")
    valid_from = datetime.fromisoformat(start) if start else _ALWAYS
    if valid_from.tzinfo is None:
        raise ValueError(f"selector {name}: expected a time with its offset from UTC")
    try:
        key = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"selector {name}: {error}") from error
    if b"PRIVATE KEY" not in key:
        raise ValueError(f"selector {name}: {path} holds no private key in PEM")
    return Selector(name, key, valid_from)
