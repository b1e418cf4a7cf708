"""What the owner of an endpoint decides about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from libs.errors import Violation, invalid, invalid_all
from services.delivery.domain.schedule import LONGEST_RETRY_AFTER, Schedule

MAX_METADATA = 50
MAX_SUBJECTS = 1000
MAX_RETRIES = 20
MAX_DELIVER_WITHIN = 30 * 86400.0

# Where order is kept a failing message holds up those behind it, so it is given up sooner.
ORDERED_DELAYS = (5.0, 30.0, 120.0, 300.0)


class Ordering(IntEnum):
    """In which order messages are sent; the numbers are the contract's."""

    UNORDERED = 1
    PER_KEY = 2


class SignatureKind(IntEnum):
    """Kinds of signature of Standard Webhooks; the numbers are the contract's."""

    V1 = 1
    V1A = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """An endpoint as its owner wants it. No `event_types` means all of them; no `cards` and no
    `portfolios` whatever a message is about; no `signatures` all kinds. None, and no
    `retry_delays` (seconds), is as the operator has it. `rate_limit` is in attempts a second,
    `deliver_within` in seconds."""

    url: str
    description: str = ""
    event_types: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cards: tuple[str, ...] = ()
    portfolios: tuple[str, ...] = ()
    rate_limit: float | None = None
    max_in_flight: int | None = None
    ordering: Ordering = Ordering.UNORDERED
    retry_delays: tuple[float, ...] = ()
    deliver_within: float | None = None
    signatures: tuple[SignatureKind, ...] = ()


@lru_cache(maxsize=1000)
def schedule(retry_delays: tuple[float, ...], ordering: int) -> Schedule | None:
    """When failed attempts are made again; None means as the operator has it."""
    if retry_delays:
        return Schedule(retry_delays)
    return Schedule(ORDERED_DELAYS) if ordering == Ordering.PER_KEY else None


def check_metadata(metadata: Mapping[str, str], field: str) -> dict[str, str]:
    """The metadata, if it is not too much. Raises AppError (INVALID)."""
    if len(metadata) > MAX_METADATA:
        raise invalid(field, f"expected at most {MAX_METADATA} keys; got {len(metadata)}")
    wrong = [
        Violation(
            f"{field}[{key[:60]!r}]",
            "expected a key of 1 to 40 and a value of at most 500 characters, neither with NUL",
            "invalid_field",
        )
        for key, value in metadata.items()
        if not 0 < len(key) <= 40 or len(value) > 500 or "\x00" in key + value
    ]
    if wrong:
        raise invalid_all(wrong)
    return dict(metadata)


def check_names(names: Sequence[str], collection: str, field: str) -> tuple[str, ...]:
    """Names of resources of one collection, each once. Raises AppError (INVALID)."""
    if len(names) > MAX_SUBJECTS:
        raise invalid(field, f"expected at most {MAX_SUBJECTS} names; got {len(names)}")
    wrong = [
        Violation(f"{field}[{at}]", f"expected {collection}/…; got {name[:60]!r}", "wrong_name")
        for at, name in enumerate(names)
        if not re.fullmatch(rf"{collection}/[A-Za-z0-9._~-]{{1,200}}", name)
    ]
    if wrong:
        raise invalid_all(wrong)
    return tuple(dict.fromkeys(names))


def check_rate_limit(rate: float, field: str) -> float | None:
    """Attempts a second; 0 is none. Raises AppError (INVALID)."""
    if rate and not 0.01 <= rate <= 10_000:
        raise invalid(field, "expected 0.01 to 10000 a second, or 0 for no limit", "out_of_range")
    return rate or None


def check_max_in_flight(number: int, field: str) -> int | None:
    """Attempts at a time; 0 is the operator's. Raises AppError (INVALID)."""
    if not 0 <= number <= 1000:
        raise invalid(field, "expected 1 to 1000, or 0 for the operator's", "out_of_range")
    return number or None


def check_retry_delays(delays: Sequence[float], field: str) -> tuple[float, ...]:
    """Seconds from one attempt to the next. Raises AppError (INVALID)."""
    if len(delays) > MAX_RETRIES:
        raise invalid(field, f"expected at most {MAX_RETRIES} waits; got {len(delays)}")
    for at, delay in enumerate(delays):
        if not 1 <= delay <= LONGEST_RETRY_AFTER:
            raise invalid(f"{field}[{at}]", "expected 1 second to 1 day", "out_of_range")
        if at and delay < delays[at - 1]:
            raise invalid(f"{field}[{at}]", "expected no shorter wait than the one before")
    return tuple(delays)


def check_deliver_within(seconds: float | None, field: str) -> float | None:
    """Seconds that a message is worth sending. Raises AppError (INVALID)."""
    if seconds is not None and not 1 <= seconds <= MAX_DELIVER_WITHIN:
        raise invalid(field, "expected 1 second to 30 days", "out_of_range")
    return seconds
