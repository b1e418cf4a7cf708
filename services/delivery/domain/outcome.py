"""What an exchange with a receiver means for its delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.delivery.domain.model import DeliveryState, Leased
from services.delivery.domain.schedule import Schedule

OK = "ok"
# Nobody was asked: the delivery waits, and this was no attempt.
UNASKED = ""
HTTP_STATUS = "http_status"
TIMEOUT = "timeout"
CONNECT = "connect"
DISCONNECTED = "disconnected"
TLS = "tls"
DNS = "dns"
ADDRESS_REFUSED = "address_refused"
URL_REFUSED = "url_refused"
# No key of the operator's opens what the endpoint signs with: a fault of ours, not the receiver's.
SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 # a code

ENDPOINT_GONE = "endpoint_gone"
ENDPOINT_FAILING = "endpoint_failing"
ENDPOINT_DELETED = "endpoint_deleted"
CANCELLED = "cancelled"
COALESCED = "coalesced"
HELD_TOO_LONG = "held_too_long"
ATTEMPTS_EXHAUSTED = "attempts_exhausted"
DELIVER_BY_PASSED = "deliver_by_passed"

_GONE = 410
# Only these say with Retry-After when to come back (RFC 9110 §10.2.3, RFC 6585 §4).
_PUTS_OFF = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it. `http_status` is None where no answer came; `body` is the
    first KiB of the answer; `retry_after` is in seconds.

    `ends` is the state in which it ends, where the channel knows better than the schedule; `waits`
    is why it was put off for `retry_after` seconds without having been tried.
    """

    code: str
    http_status: int | None = None
    body: bytes = b""
    remote_address: str = ""
    retry_after: float | None = None
    ends: DeliveryState | None = None
    waits: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the receiver took the message."""
        return self.code == OK

    @property
    def is_busy(self) -> bool:
        """Whether the receiver asked for patience, and is well otherwise."""
        return self.http_status in _PUTS_OFF


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state to record; with PENDING the seconds until the next attempt. `disable` is the
    reason to disable the endpoint with, where there is one."""

    state: DeliveryState
    reason: str
    delay: float = 0.0
    disable: str = ""


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt that was made, and what is to be recorded of it."""

    id: UUID
    delivery: Leased
    start_time: datetime
    duration: timedelta
    exchange: Exchange
    verdict: Verdict


def code_of(http_status: int) -> str:
    """The stable word for an answer: any 2xx is one that took the message."""
    return OK if 200 <= http_status < 300 else HTTP_STATUS


def judge(exchange: Exchange, attempt: int, schedule: Schedule, chance: float) -> Verdict:
    """What follows from the exchange of attempt number `attempt`, 1 for the first.

    Every failure is tried again, 4xx and redirects too: receivers are misconfigured, and then
    mended. 410 is the one answer that means "never": it fails the delivery and disables the
    endpoint.
    """
    if exchange.ends is not None:
        return Verdict(exchange.ends, exchange.code)
    if exchange.is_success:
        return Verdict(DeliveryState.DELIVERED, OK)
    if exchange.waits:
        return Verdict(DeliveryState.PENDING, exchange.waits, exchange.retry_after or 0.0)
    if exchange.code == SECRET_UNREADABLE:
        return Verdict(DeliveryState.PENDING, "waiting_retry", disable=SECRET_UNREADABLE)
    if exchange.http_status == _GONE:
        return Verdict(DeliveryState.FAILED, ENDPOINT_GONE, disable=ENDPOINT_GONE)
    asked = exchange.retry_after if exchange.http_status in _PUTS_OFF else None
    delay = schedule.delay(attempt, chance, asked)
    if delay is None:
        return Verdict(DeliveryState.FAILED, ATTEMPTS_EXHAUSTED)
    return Verdict(DeliveryState.PENDING, "waiting_retry", delay)
