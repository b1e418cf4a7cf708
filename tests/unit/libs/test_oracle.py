"""The oracle of the end-to-end test against examples worked out by hand."""

from fractions import Fraction
from uuid import UUID

import pytest

from libs.ids import derive, encode
from tests.e2e import oracle

ALERT = "alerts/" + encode("alr", UUID(int=0x0193_0000_0000_7000_8000_0000_0000_0001))


def days(*prices):
    return [
        (f"2025-01-{n:02}", {} if price is None else {"c": price})
        for n, price in enumerate(prices, 1)
    ]


@pytest.mark.parametrize(
    ("kind", "extra", "prices", "fired"),
    [
        ("above", {"level": 10}, (8, 10, 12, 9, None, 11), [2, 6]),
        ("above", {"level": 10}, (10, 12), [1]),
        ("above", {"level": 10}, (None, 10, 10), [2]),
        ("below", {"level": 10}, (12, 10, 9, 11, 10), [2, 5]),
        ("change", {"percent": Fraction(10)}, (100, 110, 121, 121, 134), [2, 5]),
        ("change", {"percent": Fraction(10)}, (100, None, 90, 99), [3]),
        ("change", {"percent": Fraction(10), "direction": "down"}, (100, 120, 100), [3]),
        ("change", {"percent": Fraction(10), "direction": "up"}, (100, 80, 88), [3]),
    ],
)
def test_when_it_fires(kind, extra, prices, fired):
    alert = oracle.Alert(ALERT, "c", kind, **extra)
    assert oracle.firing_days(alert, days(*prices)) == [f"2025-01-{n:02}" for n in fired]


def test_the_recipe_of_ids_is_the_products():
    parent = UUID(int=0x0193_0000_0000_7000_8000_0000_0000_0001)
    assert oracle.follow(parent, "a", "ä") == derive(parent, "a", "ä")
    assert oracle.from_text(ALERT.rpartition("_")[2]) == parent
