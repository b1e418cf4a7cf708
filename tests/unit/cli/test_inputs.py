"""Durations, ends and names as people type them; the card that the demonstration moves."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from gateway.cli.demo.card import moved
from gateway.cli.exits import CliError, Exit
from gateway.cli.tokens import full_name, read_end, read_span

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "span"),
    [("90d", timedelta(90)), ("12 h", timedelta(hours=12)), ("1y", timedelta(365))],
)
def test_durations(text, span):
    assert read_span(text) == span
    assert read_end(text, NOW) == NOW + span


def test_ends_are_utc_unless_they_say():
    assert read_end("2027-01-31", NOW) == datetime(2027, 1, 31, tzinfo=UTC)
    assert read_end("2027-01-31T00:00:00+02:00", NOW) == datetime(2027, 1, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize("call", [lambda: read_end("soon", NOW), lambda: read_span("1 moon")])
def test_nonsense_is_wrong_usage(call):
    with pytest.raises(CliError) as caught:
        call()
    assert caught.value.exit is Exit.USAGE


def test_names_in_full_or_by_id():
    assert full_name("tok_1") == full_name("tokens/tok_1") == "tokens/tok_1"
    with pytest.raises(CliError):
        full_name("tokens/../accounts")


@pytest.mark.parametrize("price", ["5.00", "0.01", "12.34", "99999.99"])
def test_the_demonstrations_price_crosses_its_level(price):
    card = {
        "category": "demo",
        "setId": "3",
        "productId": "42",
        "printing": "Reverse Holofoil, odd",
        "headline": {"market": price, "currencyCode": "USD"},
    }
    plan = moved(card, date(2026, 1, 2))
    assert Decimal(price) < plan.threshold <= plan.price
    assert plan.threshold.as_tuple().exponent == plan.price.as_tuple().exponent == -2
    heading, row = plan.file().decode().splitlines()
    assert heading == ("date,category,group_id,product_id,subtype,market,low,mid,high,direct_low")
    assert row == f'2026-01-02,demo,3,42,"Reverse Holofoil, odd",{plan.price},,,,'
