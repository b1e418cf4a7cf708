"""Endpoints, messages, deliveries and attempts as values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from uuid import UUID

from libs.errors import Violation, invalid, invalid_all
from services.delivery.domain.schedule import Schedule
from services.delivery.domain.settings import Settings

MAX_DESCRIPTION = 500
WAITING_ORDER = "waiting_order"
WAITING_DIGEST = "waiting_digest"
MAX_EVENT_TYPES = 20
MAX_ENDPOINTS = 50
MAX_OVERLAP = timedelta(days=7)
DEFAULT_OVERLAP = timedelta(hours=24)

ALERT_TRIGGERED = "alert.triggered"
EVENT_TYPES = frozenset({ALERT_TRIGGERED})
# What an account makes of its own.
CUSTOM = re.compile(r"custom(\.[a-z0-9_]{1,40}){1,4}")
ENDPOINT_TEST = "endpoint.test"
# "alert.*" is all that begin so.
EVENT_FAMILIES = frozenset(kind.partition(".")[0] + ".*" for kind in EVENT_TYPES) | {"custom.*"}


class Channel(StrEnum):
    """How a target is reached; the words are those of metrics."""

    WEBHOOK = "webhook"
    EMAIL = "email"


class EndpointState(IntEnum):
    """Whether an endpoint is sent to; the numbers are the contract's."""

    ACTIVE = 1
    PAUSED = 2
    DISABLED = 3


class Verification(IntEnum):
    """Whether a receiver has shown that it wants our messages; the numbers are the contract's."""

    SKIPPED = 1
    PENDING = 2
    VERIFIED = 3


class DeliveryState(IntEnum):
    """How far a delivery is; the numbers are the contract's. All but PENDING and SENT are final:
    what a mail provider took over is DELIVERED or FAILED as soon as it says so."""

    PENDING = 1
    DELIVERED = 2
    FAILED = 3
    EXPIRED = 4
    CANCELLED = 5
    SENT = 6


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL of an account that takes webhooks. `settings` are its owner's; the rest is ours."""

    id: UUID
    account: UUID
    settings: Settings
    state: EndpointState
    state_reason: str
    state_time: datetime
    verification: Verification
    verification_reason: str
    verify_time: datetime | None
    revision: int
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return f'"{self.revision}"'


@dataclass(frozen=True, slots=True)
class Secrets:
    """What an endpoint's deliveries are signed with: the newest key, and the one before it while
    it signs along. Raw bytes; `signing.encode_secret` gives the public form."""

    current: bytes
    previous: bytes | None = None
    previous_expire_time: datetime | None = None

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All that sign, newest first."""
        return (self.current,) if self.previous is None else (self.current, self.previous)


@dataclass(frozen=True, slots=True)
class Target:
    """What sending to an endpoint, or to an e-mail address, needs. `url` is the address of either;
    `endpoint` its id. What is None, or empty, is as the operator has it. Messages for one that is
    not `open` wait; those for one that is `gated` go through its lane even where there is room. Of
    one that is `watched` successes are written down too, for it failed of late."""

    endpoint: UUID
    account: UUID
    url: str
    event_types: tuple[str, ...]
    open: bool
    keys: tuple[bytes, ...]
    channel: Channel = Channel.WEBHOOK
    gated: bool = False
    watched: bool = False
    # Names of cards and portfolios; empty: whatever a message is about.
    subjects: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    # Attempts that may begin a second, and be under way at a time.
    rate_limit: float | None = None
    max_in_flight: int | None = None
    ordered: bool = False
    schedule: Schedule | None = None
    # Seconds after which a message that does not say so itself is not worth sending.
    deliver_within: float | None = None
    # Each makes the ed25519 signature of what it is given, as `keys` make HMACs.
    signers: tuple[Callable[[bytes], bytes], ...] = ()
    # An address that is told of alerts once a day.
    digest: bool = False
    # Of an endpoint: grows with every change.
    revision: int = 0

    def wants(self, message: Message) -> bool:
        """Whether it subscribed to this type of message, and to what it is about."""
        if self.event_types and not self._subscribed(message.event_type):
            return False
        return not self.subjects or not self.subjects.isdisjoint(message.subjects)

    def _subscribed(self, event_type: str) -> bool:
        return event_type in self.event_types or any(
            kind.endswith(".*") and event_type.startswith(kind[:-1]) for kind in self.event_types
        )


@dataclass(frozen=True, slots=True)
class Message:
    """Something an account is told; `payload` is sent byte for byte. `subjects` are the names of
    the cards and portfolios it is about, known while it is made. Endpoints that keep order get
    those of one `order_key` one at a time; of those of one `coalesce_key` that still wait, the
    newest replaces the others."""

    id: UUID
    account: UUID
    event_type: str
    payload: bytes
    create_time: datetime
    deliver_by: datetime | None
    trace_parent: str = ""
    subjects: tuple[str, ...] = ()
    order_key: str = ""
    coalesce_key: str = ""

    @property
    def keeps_order_key(self) -> bool:
        """Whether its key cannot be read from its payload again."""
        return bool(self.order_key) and self.event_type not in EVENT_TYPES


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way to one target. `endpoint_state` is None where that is gone, or is no
    endpoint; `lane_open` is False for an address while nothing sends e-mail. One that is `behind`
    waits for an earlier one of its key; `hold_reason` is why its lane is held right now. One of a
    `digest` is told with others, by a message of its own."""

    message: UUID
    endpoint: UUID
    state: DeliveryState
    attempt_count: int
    due: datetime | None
    settle_time: datetime | None
    reason: str
    leased: bool
    endpoint_state: EndpointState | None
    channel: Channel = Channel.WEBHOOK
    lane_open: bool = True
    unverified: bool = False
    behind: bool = False
    hold_reason: str = ""
    digest: bool = False

    @property
    def shown_reason(self) -> str:
        """Why it stands as it does, a stable word."""
        if self.state is not DeliveryState.PENDING:
            return self.reason
        if self.leased:
            return "sending"
        if self.endpoint_state is EndpointState.PAUSED:
            return "endpoint_paused"
        if self.endpoint_state is EndpointState.DISABLED:
            return "endpoint_unverified" if self.unverified else "endpoint_disabled"
        if self.channel is Channel.EMAIL and not self.lane_open:
            return "email_not_configured"
        if self.digest:
            return WAITING_DIGEST
        if self.behind:
            return WAITING_ORDER
        if self.hold_reason:
            return self.hold_reason
        if self.reason in ("rate_limited", "breaker_open"):
            return self.reason
        return "waiting_retry" if self.attempt_count else "queued"


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery that this process may send, and the token that says so. `attempt` is the number
    of the attempt to come, 1 for the first. A `probe` is let through a half-open breaker."""

    message: Message
    target: Target
    lease: UUID
    attempt: int
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """A delivery that came to its end just now, as others are told of it. `round` counts how often
    it was sent anew after an end."""

    message: UUID
    endpoint: UUID
    account: UUID
    event_type: str
    state: DeliveryState
    code: str
    http_status: int | None
    attempt_count: int
    create_time: datetime
    settle_time: datetime
    channel: Channel = Channel.WEBHOOK
    round: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a delivery, as it was recorded."""

    id: UUID
    message: UUID
    endpoint: UUID
    number: int
    start_time: datetime
    duration: timedelta
    http_status: int | None
    code: str
    response_body: bytes
    remote_address: str
    channel: Channel = Channel.WEBHOOK


def check_description(text: str, field: str) -> str:
    """The description, if it can be one. Raises AppError (INVALID)."""
    if len(text) > MAX_DESCRIPTION:
        raise invalid(field, f"expected at most {MAX_DESCRIPTION} characters; got {len(text)}")
    if "\x00" in text:
        raise invalid(field, "expected no NUL characters")
    return text


def check_event_types(types: tuple[str, ...], field: str) -> tuple[str, ...]:
    """The types in order, each once. Raises AppError (INVALID) naming each unknown one."""
    known = ", ".join(sorted(EVENT_TYPES | EVENT_FAMILIES | {"custom.<name>"}))
    if len(types) > MAX_EVENT_TYPES:
        raise invalid(field, f"expected at most {MAX_EVENT_TYPES} types; got {len(types)}")
    wrong = [
        Violation(f"{field}[{at}]", f"expected one of {known}; got {kind[:60]!r}", "unknown_type")
        for at, kind in enumerate(types)
        if kind not in EVENT_TYPES and kind not in EVENT_FAMILIES and not CUSTOM.fullmatch(kind)
    ]
    if wrong:
        raise invalid_all(wrong)
    return tuple(dict.fromkeys(types))


def check_overlap(overlap: timedelta) -> timedelta:
    """How long the old secret signs along. Raises AppError (INVALID) outside 0 to 7 days."""
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise invalid("overlap", "expected 0 seconds to 7 days", "out_of_range")
    return overlap
