"""When a failed delivery is tried again, and what an answer means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.delivery.domain.model import DeliveryState
from services.delivery.domain.outcome import Exchange, code_of, judge
from services.delivery.domain.schedule import (
    DEFAULT_DELAYS,
    Schedule,
    parse_delays,
    parse_retry_after,
)

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
PLAN = Schedule()


def test_the_published_schedule() -> None:
    minutes = [delay / 60 for delay in DEFAULT_DELAYS]
    assert minutes == [5 / 60, 5, 30, 120, 300, 600, 840, 1200, 1440]
    assert [PLAN.delay(n, 0.5) for n in range(1, 11)] == [*DEFAULT_DELAYS, None]


def test_jitter_spreads_by_a_fifth_either_way() -> None:
    assert PLAN.delay(2, 0.0) == pytest.approx(240)
    assert PLAN.delay(2, 0.999999) == pytest.approx(360, rel=1e-4)


@pytest.mark.parametrize(
    ("asked", "expected"), [(1.0, 300.0), (900.0, 900.0), (1e9, 86400.0), (None, 300.0)]
)
def test_a_receiver_puts_off_and_never_forward(asked: float | None, expected: float) -> None:
    assert PLAN.delay(2, 0.5, asked) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 01 Jun 2025 12:01:30 GMT", 90.0),
        ("Sun, 01 Jun 2025 11:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("9" * 400, None),
    ],
)
def test_retry_after_in_both_forms(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize("text", ["", "5,x", "nan", "-1", "10,5", "5,1e9"])
def test_delays_that_make_no_schedule(text: str) -> None:
    with pytest.raises(ValueError):
        parse_delays(text)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_took_the_message(status: int) -> None:
    verdict = judge(Exchange(code_of(status), status), 1, PLAN, 0.5)
    assert verdict.state is DeliveryState.DELIVERED


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 408, 418, 429, 500, 503])
def test_every_other_answer_is_tried_again(status: int) -> None:
    verdict = judge(Exchange(code_of(status), status), 1, PLAN, 0.5)
    assert (verdict.state, verdict.delay) == (DeliveryState.PENDING, 5.0)


@pytest.mark.parametrize("code", ["timeout", "connect", "tls", "dns", "address_refused"])
def test_no_answer_is_tried_again_until_attempts_are_spent(code: str) -> None:
    assert judge(Exchange(code), 9, PLAN, 0.5).delay == 86400
    last = judge(Exchange(code), 10, PLAN, 0.5)
    assert (last.state, last.reason) == (DeliveryState.FAILED, "attempts_exhausted")


def test_gone_is_for_good() -> None:
    verdict = judge(Exchange("http_status", 410), 1, PLAN, 0.5)
    assert (verdict.state, verdict.disable) == (DeliveryState.FAILED, "endpoint_gone")


@pytest.mark.parametrize(("status", "delay"), [(429, 60.0), (503, 60.0), (500, 5.0)])
def test_only_answers_that_put_off_are_asked_for_how_long(status: int, delay: float) -> None:
    exchange = Exchange("http_status", status, retry_after=60.0)
    assert judge(exchange, 1, PLAN, 0.5).delay == delay
