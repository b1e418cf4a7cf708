"""Accounts and tokens as values, and the rules they obey."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.errors import invalid

NAME_LENGTH = 100
MAX_LIFETIME = timedelta(days=5 * 366)
MAX_OVERLAP = timedelta(days=7)
MAX_TOKENS = 50


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who owns things."""

    id: UUID
    display_name: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """What stands for an account (then `role` is None) or for a role (then `account` is None)."""

    id: UUID
    hint: str
    account: UUID | None
    role: int | None
    read_only: bool
    display_name: str
    create_time: datetime
    expire_time: datetime | None
    last_use_time: datetime | None = None
    revoke_time: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it opens doors at `now`."""
        ends = (self.expire_time, self.revoke_time)
        return all(end is None or now < end for end in ends)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose tokens a caller deals with: an account's own, or, for an admin, those with roles."""

    account: UUID | None


def display_name(value: str, field: str) -> str:
    """A name for people. Raises AppError (INVALID) naming `field`."""
    if len(value) > NAME_LENGTH or not (value.isprintable() or value == ""):
        raise invalid(field, f"expected at most {NAME_LENGTH} printable characters")
    return value


def expiry(value: datetime | None, now: datetime) -> datetime | None:
    """When a token ends. Raises AppError (INVALID) outside the next five years."""
    if value is not None and not now < value <= now + MAX_LIFETIME:
        raise invalid("token.expire_time", "expected a time within the next five years")
    return value


def overlap(value: timedelta) -> timedelta:
    """How long a rotated token lives on. Raises AppError (INVALID) outside 0 to 7 days."""
    if not timedelta(0) <= value <= MAX_OVERLAP:
        raise invalid("overlap", "expected 0 seconds to 7 days")
    return value
