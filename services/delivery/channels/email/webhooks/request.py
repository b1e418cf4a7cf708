"""A provider's webhook as it came, and small readings that all of them need."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from libs.errors import AppError, Kind, invalid
from services.delivery import errors
from services.delivery.domain.email_codes import of_reply
from services.delivery.domain.email_events import MAX_TEXT, EmailEvent

MAX_EVENTS = 5000


@dataclass(frozen=True, slots=True)
class Webhook:
    """The body byte for byte; `headers` are by lower-case name, `client` an address."""

    body: bytes
    headers: Mapping[str, str]
    client: str


class Reader(Protocol):
    """Verifies and reads the webhooks of one provider."""

    async def read(self, webhook: Webhook, now: datetime) -> list[EmailEvent]:
        """Raises AppError: UNAUTHENTICATED where it is not the provider's, INVALID for rubbish."""
        ...


def refused(why: str) -> AppError:
    """It was not the provider who sent this."""
    return AppError(Kind.UNAUTHENTICATED, errors.SIGNATURE_INVALID, why)


def document(body: bytes) -> Any:
    """The JSON of a body. Raises AppError (INVALID)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid("body", "expected JSON", "malformed_json") from error


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one: providers leave out what they like."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; at most MAX_EVENTS."""
    found = value[:MAX_EVENTS] if isinstance(value, list) else []
    return [entry for entry in found if isinstance(entry, dict)]


def text(value: object, limit: int = MAX_TEXT) -> str:
    """Text that can be stored; "" for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).replace("\x00", "")[:limit]


def time(value: object, now: datetime) -> datetime:
    """RFC 3339, or seconds since 1970; `now` where it is neither, or lies ahead."""
    found = now
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value.replace(" UTC", "+00:00"))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return now
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return min(found, now)


def dumped(value: object) -> bytes:
    """What is kept of one event of many."""
    return json.dumps(value, separators=(",", ":")).encode()


def code_of(status: str, said: str, default: str) -> str:
    """Our word for what a receiving server said; `default` where it said nothing."""
    if not status and not said:
        return default
    digits = said[:3]
    reply = int(digits) if digits.isdigit() else {"4": 450, "5": 550}.get(status[:1], 0)
    return of_reply(reply, status or None, said).code.name if reply else default


def base64_bytes(value: str) -> bytes:
    """Decoded; b"" for what is no base64."""
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return b""
