"""A panel speaks as of a day, and of no later one."""

import math
from datetime import date, timedelta

import numpy as np
import pytest

from services.market.analytics.panel import NONE, LookAheadError, Panel
from tests.unit.market.analytics import plain

FIRST = date(2025, 1, 1)
CENTS = np.array([[100, NONE, 250], [1, 2_000_000_000, 131_072]], np.int32)


def test_logs_are_those_of_the_cents():
    panel = Panel.load(FIRST, CENTS)
    assert panel.logs[0, 0] == math.log(100)
    assert np.isnan(panel.logs[0, 1])
    np.testing.assert_array_equal(panel.logs[1], [math.log(value) for value in CENTS[1].tolist()])
    assert panel.last == date(2025, 1, 3)
    assert list(panel) == [FIRST, date(2025, 1, 2), date(2025, 1, 3)]


def test_later_days_are_refused():
    then = Panel.load(FIRST, CENTS).as_of(date(2025, 1, 2))
    assert then.cents.shape == then.logs.shape == (2, 2)
    assert then.last == date(2025, 1, 2)
    for ask in (then.as_of, then.index, then.truncated):
        with pytest.raises(LookAheadError):
            ask(date(2025, 1, 3))
        with pytest.raises(KeyError):
            ask(date(2024, 12, 31))


def test_a_truncated_panel_has_no_later_day_in_memory():
    cut = Panel.load(FIRST, CENTS).truncated(date(2025, 1, 2))
    assert cut.for_kernels[0].shape == (2, 2)
    np.testing.assert_array_equal(cut.cents, CENTS[:, :2])


def test_nothing_can_be_written_into_a_panel():
    panel = Panel.load(FIRST, CENTS)
    for array in (panel.cents, panel.logs):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


@pytest.mark.parametrize("bad", [0, -2])
def test_a_price_is_above_nothing(bad):
    with pytest.raises(ValueError, match="above 0"):
        Panel.load(FIRST, np.array([[bad]], np.int32))


def test_only_a_matrix_of_int32_is_taken():
    for cents in (np.array([1], np.int32), np.array([[1.0]])):
        with pytest.raises(ValueError, match="int32"):
            Panel.load(FIRST, cents)
    with pytest.raises(ValueError, match="no day"):
        _ = Panel.load(FIRST, np.zeros((0, 0), np.int32)).last


def test_cards_are_taken_in_any_order_as_of_the_day():
    panel = Panel.load(FIRST, CENTS).as_of(FIRST + timedelta(days=1))
    taken = panel.take(np.array([1, 0]))
    np.testing.assert_array_equal(taken.cents, CENTS[::-1, :2])
    assert plain.panel([[1, None]]).cents.tolist() == [[1, NONE]]
