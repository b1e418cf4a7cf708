"""Alerts and firings as values, and the rules their owners are held to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

from services.alerts.domain.conditions import Condition
from services.alerts.domain.faults import FieldError

NOTE_LENGTH = 500
MAX_DELIVER_WITHIN = timedelta(days=30)
MAX_SNOOZE = timedelta(days=366)
CARD_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as its owner sees it; `card` is the card's id without "cards/"."""

    id: UUID
    account: UUID
    card: str
    condition: Condition
    note: str
    deliver_within: timedelta | None
    active: bool
    create_time: datetime
    watch_time: datetime
    update_time: datetime
    revision: int = 1
    snooze_time: datetime | None = None
    last_fire_time: datetime | None = None
    fire_count: int = 0

    @property
    def etag(self) -> str:
        """Changes with every change, a firing included. Opaque on purpose."""
        state = f"{self.id} {self.revision} {self.fire_count}"
        return blake2b(state.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Firing:
    """One time that an alert fired; prices are in hundredths of `currency`."""

    alert: UUID
    day: date
    currency: str
    price: int
    previous: int | None
    previous_day: date | None
    reason: str
    fire_time: datetime
    import_name: str


def card_id(name: str) -> str:
    """The id in "cards/{card}". Raises FieldError."""
    head, _, id = name.partition("/")
    plain = id.isascii() and id.replace("-", "").isalnum() and id == id.lower()
    if head != "cards" or not plain or len(id) > CARD_LENGTH:
        raise FieldError(
            "", "wrong_name", f"expected cards/ and the id of a card; got {name[:60]!r}"
        )
    return id


def note(text: str) -> str:
    """The owner's note. Raises FieldError."""
    if len(text) > NOTE_LENGTH:
        expected = f"expected at most {NOTE_LENGTH} characters; got {len(text)}"
        raise FieldError("", "too_long", expected)
    if "\x00" in text:
        raise FieldError("", "malformed_text", "expected no NUL character")
    return text


def deliver_within(span: timedelta) -> timedelta:
    """How long a message is worth delivering. Raises FieldError."""
    if not timedelta(0) < span <= MAX_DELIVER_WITHIN:
        expected = f"expected more than 0 and at most {MAX_DELIVER_WITHIN.days} days"
        raise FieldError("", "out_of_range", expected)
    return span


def snooze_until(time: datetime, now: datetime) -> datetime | None:
    """Until when an alert is quiet; None for a time that has passed. Raises FieldError."""
    if time > now + MAX_SNOOZE:
        raise FieldError("", "out_of_range", "expected a time at most a year ahead")
    return time if time > now else None
