"""What happened to a delivery, moment by moment: attempts, and waits with their causes.

Attempts and longer holds of lanes are on record. A wait is cut where a hold begins or ends; what no
hold explains was the schedule's, or before the first attempt the queue's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from services.delivery.domain.model import Attempt, Delivery, DeliveryState

ATTEMPT = "attempt"
SETTLED = "settled"
QUEUED = "queued"
WAITING_RETRY = "waiting_retry"
# Before the first attempt, a wait shorter than this needs no other cause than that work takes time.
SHORT = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class PastHold:
    """When a lane was held, and why; `end_time` is None while it is."""

    start_time: datetime
    end_time: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A wait, an attempt, or the end. `end_time` is None where it goes on."""

    kind: str
    start_time: datetime
    end_time: datetime | None = None
    attempt: Attempt | None = None


def timeline(
    delivery: Delivery,
    made: datetime,
    attempts: Sequence[Attempt],
    holds: Sequence[PastHold],
    now: datetime,
    first_wait: str = QUEUED,
) -> list[Entry]:
    """All entries in order, without gaps. `attempts` are those of this delivery, oldest first;
    `first_wait` is what a longer wait before the first of them means."""
    entries: list[Entry] = []
    at = made
    for number, attempt in enumerate(attempts):
        entries += _waits(at, attempt.start_time, holds, WAITING_RETRY if number else first_wait)
        ends = attempt.start_time + attempt.duration
        entries.append(Entry(ATTEMPT, attempt.start_time, ends, attempt))
        at = ends
    if delivery.settle_time is not None:
        if not attempts or delivery.state not in (DeliveryState.DELIVERED, DeliveryState.FAILED):
            ended = WAITING_RETRY if attempts else first_wait
            entries += _waits(at, delivery.settle_time, holds, ended)
        entries.append(Entry(SETTLED, delivery.settle_time, delivery.settle_time))
        return entries
    waits = _waits(at, now, holds, WAITING_RETRY if attempts else first_wait)
    if waits and waits[-1].kind == delivery.shown_reason:
        waits[-1] = Entry(delivery.shown_reason, waits[-1].start_time)
    else:
        waits.append(Entry(delivery.shown_reason, now))
    return entries + waits


def summary(delivery: Delivery, attempts: Sequence[Attempt]) -> str:
    """What it came to, or what it waits for, in one sentence."""
    last = attempts[-1] if attempts else None
    tried = f"after {len(attempts)} attempt{'s' if len(attempts) != 1 else ''}"
    if delivery.state is DeliveryState.PENDING:
        due = f", until {_shown(delivery.due)}" if delivery.due else ""
        so_far = f" The last attempt: {_answer(last)}." if last else ""
        return f"Waits ({delivery.shown_reason}{due}), {tried}.{so_far}"
    told = {
        DeliveryState.DELIVERED: f"Delivered {tried}",
        DeliveryState.SENT: f"Taken over by the mail provider {tried}",
        DeliveryState.FAILED: f"Failed for good {tried}: {delivery.reason}",
        DeliveryState.EXPIRED: f"Not sent in time, {tried}: {delivery.reason}",
        DeliveryState.CANCELLED: f"Called off {tried}: {delivery.reason}",
    }[delivery.state]
    failed = delivery.state not in (DeliveryState.DELIVERED, DeliveryState.SENT)
    return f"{told}. The last attempt: {_answer(last)}." if failed and last else f"{told}."


def _waits(
    start: datetime, end: datetime, holds: Sequence[PastHold], otherwise: str
) -> list[Entry]:
    """The wait from `start` to `end`, cut where its cause changes."""
    if end <= start:
        return []
    if otherwise != WAITING_RETRY and end - start < SHORT:
        otherwise = QUEUED
    edges = {start, end}
    for hold in holds:
        edges |= {time for time in (hold.start_time, hold.end_time) if time and start < time < end}
    cuts = sorted(edges)
    entries: list[Entry] = []
    for begins, ends in pairwise(cuts):
        cause = next((hold.reason for hold in holds if _covers(hold, begins, ends)), otherwise)
        if entries and entries[-1].kind == cause:
            entries[-1] = Entry(cause, entries[-1].start_time, ends)
        else:
            entries.append(Entry(cause, begins, ends))
    return entries


def _covers(hold: PastHold, begins: datetime, ends: datetime) -> bool:
    return hold.start_time <= begins and (hold.end_time is None or ends <= hold.end_time)


def _answer(attempt: Attempt | None) -> str:
    if attempt is None:
        return "none"
    return f"HTTP {attempt.http_status}" if attempt.http_status else attempt.code


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
