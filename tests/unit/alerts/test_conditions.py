"""Levels and percentages are exact, and what cannot be one is told with its field."""

import math

import pytest

from services.alerts.domain import conditions, money
from services.alerts.domain.conditions import Condition, Kind
from services.alerts.domain.faults import FieldError


@pytest.mark.parametrize(
    ("currency", "amount", "expected"),
    [
        ("USD", "12.5", 1250),
        ("USD", "0.01", 1),
        ("EUR", "007", 700),
        ("JPY", "1500", 150_000),
        ("USD", "20000000.00", money.MAX_HUNDREDTHS),
    ],
)
def test_an_amount_becomes_hundredths(currency, amount, expected):
    assert money.hundredths(currency, amount) == expected


@pytest.mark.parametrize(
    ("currency", "amount", "field", "reason"),
    [
        ("USD", "1.001", "amount", "too_many_decimals"),
        ("USD", "1.000", "amount", "too_many_decimals"),
        ("JPY", "1.5", "amount", "too_many_decimals"),
        ("USD", "0", "amount", "not_positive"),
        ("USD", "0.00", "amount", "not_positive"),
        ("USD", "20000000.01", "amount", "out_of_range"),
        ("USD", "9999999999999", "amount", "malformed_amount"),
        *(
            ("USD", text, "amount", "malformed_amount")
            for text in ("", "-1", "+1", "1e3", "NaN", "1,50", " 1", ".5", "5.", "١٢", "1\n")
        ),
        ("usd", "1", "currency_code", "unsupported_currency"),
        ("", "1", "currency_code", "unsupported_currency"),
        ("BTC", "1", "currency_code", "unsupported_currency"),
    ],
)
def test_what_is_no_amount_names_the_field(currency, amount, field, reason):
    with pytest.raises(FieldError) as caught:
        money.hundredths(currency, amount)
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_an_amount_is_shown_with_the_decimals_of_its_currency():
    assert money.decimal("USD", 1250) == "12.50"
    assert money.decimal("USD", 5) == "0.05"
    assert money.decimal("JPY", 150_000) == "1500"


@pytest.mark.parametrize(
    ("percent", "scaled"),
    [(10.0, 100_000), (0.1, 1000), (0.0001, 1), (33.3333, 333_333), (100_000.0, 10**9)],
)
def test_a_percentage_is_taken_as_it_was_written(percent, scaled):
    condition = conditions.move(Kind.MOVE, percent)
    assert (condition.value, condition.percent) == (scaled, percent)


@pytest.mark.parametrize(
    ("percent", "reason"),
    [
        (0.0, "out_of_range"),
        (-1.0, "out_of_range"),
        (100_000.5, "out_of_range"),
        (math.nan, "out_of_range"),
        (math.inf, "out_of_range"),
        (0.00001, "too_many_decimals"),
        (12.34567, "too_many_decimals"),
    ],
)
def test_what_is_no_percentage_names_the_field(percent, reason):
    with pytest.raises(FieldError) as caught:
        conditions.move(Kind.MOVE, percent)
    assert (caught.value.field, caught.value.reason) == ("percent", reason)


def test_a_percentage_is_reached_exactly_at_its_edge():
    tenth = conditions.move(Kind.MOVE, 10.0)
    assert tenth.reached(110, 100)
    assert tenth.reached(90, 100)
    assert not tenth.reached(109, 100)
    # 3 cents are a third more than 9: 33.3333 % is reached, 33.3334 % is not.
    assert conditions.move(Kind.MOVE_UP, 33.3333).reached(12, 9)
    assert not conditions.move(Kind.MOVE_UP, 33.3334).reached(12, 9)


def test_a_direction_is_kept_to():
    assert not Condition(Kind.MOVE_UP, 100_000).reached(50, 100)
    assert not Condition(Kind.MOVE_DOWN, 100_000).reached(150, 100)


@pytest.mark.parametrize(("price", "previous"), [(None, 100), (100, None), (100, 0), (0, 0)])
def test_nothing_is_a_share_of_nothing(price, previous):
    assert not Condition(Kind.MOVE, 1).reached(price, previous)
