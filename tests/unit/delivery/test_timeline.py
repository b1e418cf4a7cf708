"""Why was this not delivered?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.delivery.domain.model import Attempt, Delivery, DeliveryState, EndpointState
from services.delivery.domain.timeline import PastHold, summary, timeline

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
ID = UUID(int=1)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def attempt(number: int, start: float, seconds: float = 1.0, status: int | None = 500) -> Attempt:
    length = timedelta(seconds=seconds)
    return Attempt(ID, ID, ID, number, at(start), length, status, "http_status", b"", "192.0.2.1")


def delivery(state=DeliveryState.PENDING, **more) -> Delivery:
    values = {"attempt_count": 2, "due": None, "settle_time": None, "reason": "", "leased": False}
    return Delivery(ID, ID, state, **(values | {"endpoint_state": EndpointState.ACTIVE} | more))


def shown(entries):
    return [
        (
            entry.kind,
            (entry.start_time - NOON).total_seconds(),
            None if entry.end_time is None else (entry.end_time - NOON).total_seconds(),
        )
        for entry in entries
    ]


def test_each_wait_has_its_cause_and_there_are_no_gaps():
    holds = [
        PastHold(at(20), at(80), "endpoint_paused"),
        PastHold(at(6), at(50), "breaker_open"),
        PastHold(at(101), None, "receiver_busy"),
    ]
    made = [attempt(1, 0.01), attempt(2, 100)]
    now = delivery(hold_reason="receiver_busy", due=at(200))
    assert shown(timeline(now, NOON, made, holds, at(150))) == [
        ("queued", 0, 0.01),
        ("attempt", 0.01, 1.01),
        ("waiting_retry", 1.01, 6),
        ("breaker_open", 6, 20),
        ("endpoint_paused", 20, 80),
        ("waiting_retry", 80, 100),
        ("attempt", 100, 101),
        ("receiver_busy", 101, None),
    ]
    told = summary(now, made)
    assert "receiver_busy, until 2025-06-01 12:03:20 UTC" in told
    assert "after 2 attempts" in told
    assert "HTTP 500" in told


def test_a_delivery_that_was_delivered_ends_with_its_attempt():
    done = delivery(DeliveryState.DELIVERED, settle_time=at(1.1), reason="ok")
    entries = timeline(done, NOON, [attempt(1, 0.05, 1.0, 200)], [], at(500))
    assert [entry.kind for entry in entries] == ["queued", "attempt", "settled"]
    assert summary(done, [attempt(1, 0.05)]) == "Delivered after 1 attempt."


def test_what_expired_while_it_waited_shows_what_it_waited_for():
    late = delivery(DeliveryState.EXPIRED, settle_time=at(60), reason="deliver_by_passed")
    entries = timeline(late, NOON, [], [PastHold(at(-5), None, "endpoint_disabled")], at(500))
    assert shown(entries) == [("endpoint_disabled", 0, 60), ("settled", 60, 60)]
    assert summary(late, []).startswith("Not sent in time, after 0 attempts")


def test_a_long_first_wait_is_the_limits_and_a_short_one_the_queues():
    made = [attempt(1, 30, 1.0, 200)]
    done = delivery(DeliveryState.DELIVERED, settle_time=at(31))
    first = timeline(done, NOON, made, [], at(40), "rate_limited")[0]
    assert first.kind == "rate_limited"
    first = timeline(done, NOON, [attempt(1, 0.05)], [], at(40), "rate_limited")[0]
    assert first.kind == "queued"
