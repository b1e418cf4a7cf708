"""What can be an alert, and what the caller is told of what cannot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from libs.api.wire import stamp
from libs.errors import Kind
from pq.alerts.v1 import alerts_pb2 as pb
from tests.integration.alerts.place import CARD, EURO, UNQUOTED, above, create, refused, usd


async def test_an_alert_is_as_it_was_asked_for(alerts, clock):
    asked = above(note="mind the gap", fire_count=7, name="alerts/mine", etag="x")
    asked.deliver_within.FromTimedelta(timedelta(hours=6))
    made = await alerts.CreateAlert(create(asked))
    assert made.name.startswith("alerts/alr_")
    assert made.condition == asked.condition
    assert (made.card, made.note) == (asked.card, asked.note)
    assert made.deliver_within == asked.deliver_within
    assert (made.state, made.fire_count) == (pb.ALERT_STATE_ACTIVE, 0)
    assert made.create_time == stamp(clock.now())
    assert not made.HasField("snooze_time")
    assert not made.HasField("last_fire_time")
    assert made.etag not in ("", "x")
    assert await alerts.GetAlert(pb.GetAlertRequest(name=made.name)) == made


@pytest.mark.parametrize(
    "condition",
    [
        pb.Condition(price_below=usd("0.01")),
        pb.Condition(percentage_change=pb.PercentageChange(percent=12.3456)),
        pb.Condition(
            percentage_change=pb.PercentageChange(percent=10, direction=pb.DIRECTION_DOWN)
        ),
        pb.Condition(percentage_change=pb.PercentageChange(percent=1, direction=pb.DIRECTION_UP)),
    ],
)
async def test_every_kind_of_condition_comes_back(alerts, condition):
    made = await alerts.CreateAlert(create(pb.Alert(card=f"cards/{CARD}", condition=condition)))
    assert made.condition == condition


def _with(**fields):
    alert = above()
    for name, value in fields.items():
        if value is None:
            alert.ClearField(name)
        elif isinstance(value, str):
            setattr(alert, name, value)
        else:
            getattr(alert, name).CopyFrom(value)
    return alert


def _seconds(seconds, nanos=0):
    return Duration(seconds=seconds, nanos=nanos)


def _move(percent, direction=0):
    change = pb.PercentageChange(percent=percent, direction=direction)
    return pb.Condition(percentage_change=change)


@pytest.mark.parametrize(
    ("alert", "field", "reason"),
    [
        (_with(card=None), "alert.card", "required"),
        (_with(card="alerts/x"), "alert.card", "wrong_name"),
        (_with(card="cards/Not A Card"), "alert.card", "wrong_name"),
        (_with(card="cards/pokemon-9-normal"), "alert.card", "unknown_card"),
        (_with(condition=None), "alert.condition", "required"),
        (_with(condition=pb.Condition()), "alert.condition", "required"),
        (above("1.001"), "alert.condition.price_above.amount", "too_many_decimals"),
        (above("0"), "alert.condition.price_above.amount", "not_positive"),
        (above("-3"), "alert.condition.price_above.amount", "malformed_amount"),
        (above("NaN"), "alert.condition.price_above.amount", "malformed_amount"),
        (above("99999999"), "alert.condition.price_above.amount", "out_of_range"),
        (
            _with(condition=pb.Condition(price_below=usd("1", "XXX"))),
            "alert.condition.price_below.currency_code",
            "unsupported_currency",
        ),
        (
            _with(condition=pb.Condition(price_below=usd("1", "EUR"))),
            "alert.condition.price_below.currency_code",
            "currency_mismatch",
        ),
        (
            _with(condition=_move(0)),
            "alert.condition.percentage_change.percent",
            "out_of_range",
        ),
        (
            _with(condition=_move(float("nan"))),
            "alert.condition.percentage_change.percent",
            "out_of_range",
        ),
        (
            _with(condition=_move(0.00001)),
            "alert.condition.percentage_change.percent",
            "too_many_decimals",
        ),
        (
            _with(condition=_move(5, 9)),
            "alert.condition.percentage_change.direction",
            "unknown_value",
        ),
        (_with(note="n" * 501), "alert.note", "too_long"),
        (_with(note="\x00"), "alert.note", "malformed_text"),
        (_with(deliver_within=_seconds(0)), "alert.deliver_within", "out_of_range"),
        (_with(deliver_within=_seconds(-5)), "alert.deliver_within", "out_of_range"),
        (_with(deliver_within=_seconds(31 * 86400)), "alert.deliver_within", "out_of_range"),
        (_with(deliver_within=_seconds(2**62)), "alert.deliver_within", "out_of_range"),
    ],
)
async def test_what_cannot_be_an_alert_is_told_with_its_field(alerts, alert, field, reason):
    error = await refused(alerts.CreateAlert(create(alert)))
    assert error.kind is Kind.INVALID
    assert [(v.field, v.reason) for v in error.violations] == [(field, reason)]


async def test_all_faults_are_told_at_once(alerts):
    error = await refused(alerts.CreateAlert(create(_with(card="x", condition=None, note="\x00"))))
    fields = [violation.field for violation in error.violations]
    assert fields == ["alert.card", "alert.condition", "alert.note"]
    error = await refused(alerts.CreateAlert(pb.CreateAlertRequest()))
    assert [violation.field for violation in error.violations] == ["alert"]


async def test_a_card_without_a_quote_takes_any_currency_and_percentages_have_none(alerts):
    await alerts.CreateAlert(create(above(card=UNQUOTED)))
    await alerts.CreateAlert(create(_with(card=f"cards/{EURO}", condition=_move(5))))


async def test_without_the_market_nothing_is_kept_and_the_caller_may_try_again(place, alerts):
    place.market.away = True
    error = await refused(alerts.CreateAlert(create(above(), "once")))
    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "market_unavailable")
    assert error.retry_after
    place.market.away = False
    await alerts.CreateAlert(create(above(), "once"))
    assert await place.db.fetchval("select count(*) from alerts") == 1
