"""Backtests: money is conserved, nothing looks ahead, and what vanishes is not forgotten."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.market.analytics import backtest
from services.market.analytics.backtest import Rules
from services.market.analytics.panel import NONE, Panel
from tests.unit.market.analytics import plain

FREE = Rules(every=5, share=0.5, most=10, copies=100, least_cents=100, fee=0, fee_cents=0)


def play(cents, score=None, rules=FREE, first=plain.FIRST):
    market = Panel.load(plain.FIRST, np.array(cents, np.int32))
    score = score or (lambda market, _low: market.logs[:, -1])
    return backtest.run(market, market, score, rules, first)


def by_row(*values):
    """A score that is the same every day."""
    return lambda _market, _low: np.array(values, np.float64)


def test_one_card_is_bought_for_all_the_money_and_follows_its_price():
    found = play([[1_000, 1_000, 2_000]], rules=replace(FREE, start=10_500, share=1.0))
    assert found.worth.tolist() == [10_500, 10_500, 20_500]  # ten copies, and 500 that buy none
    assert [one.bought_cents for one in found.rebalances] == [10_000]
    assert found.yearly == pytest.approx((20_500 / 10_500) ** (365 / 2) - 1)


def test_selling_costs_what_the_venue_takes_and_net_knows_before():
    rules = replace(FREE, start=10_000, share=0.5, every=1, fee=0.1, fee_cents=30)
    found = play([[1_000] * 2, [1_000] * 2], by_row(2, 1), rules)
    assert found.worth.tolist() == [10_000, 10_000]
    assert found.net.tolist() == [10_000 - 10 * 130] * 2

    def turning(market, _low):
        return np.array([2.0, 1.0] if market.day_count == 1 else [1.0, 2.0])

    found = play([[1_000] * 2, [1_000] * 2], turning, rules)
    assert found.fees_cents == 10 * 130
    assert found.rebalances[1].sold_cents == 10_000
    assert found.worth[1] == 10_000 - 1_300


def test_capacity_bounds_what_changes_hands_at_once():
    rules = replace(FREE, start=100_000, share=1.0, every=1, copies=3)
    found = play([[1_000] * 4], rules=rules)
    assert [one.copies for one in found.rebalances] == [3, 3, 3, 3]


def test_a_card_that_is_quoted_no_more_is_kept_and_at_last_written_off():
    days = backtest.WRITTEN_OFF + 3
    gone = [1_000] + [NONE] * (days - 1)
    found = play([gone, [1_000] * days], by_row(2, 1), replace(FREE, start=2_000, every=10))
    assert found.worth[backtest.WRITTEN_OFF] == 2_000
    assert found.written_off_cents == 2_000
    assert found.worth[-1] == 0


def test_a_card_that_comes_later_joins_then():
    late = [NONE, NONE, NONE, NONE, NONE, 1_000, 1_000]
    found = play([late, [1_000] * 7], by_row(2, 1), replace(FREE, start=2_000))
    assert [one.eligible for one in found.rebalances] == [1, 2]
    assert found.rebalances[1].sold_cents == found.rebalances[1].bought_cents == 2_000


# The first example may have to load the compiled loops.
@settings(deadline=None)
@given(seed=st.integers(0, 500), cut=st.integers(20, 59))
def test_nothing_looks_ahead_and_money_is_conserved(seed, cut):
    cents = plain.walks(seed, 12, 60)
    rules = replace(FREE, least_cents=1, fee=0.1, fee_cents=5, copies=4, start=50_000)

    def momentum(market, _low):
        logs = market.logs
        return logs[:, -1] - logs[:, max(0, logs.shape[1] - 6)]

    whole = play(cents, momentum, rules)
    part = play(cents[:, :cut], momentum, rules)
    assert whole.worth[:cut].tolist() == part.worth.tolist()
    assert whole.net[:cut].tolist() == part.net.tolist()
    assert (whole.net <= whole.worth).all()
    cash = rules.start
    for one in whole.rebalances:
        cash += one.sold_cents - one.bought_cents - one.fees_cents
        assert cash >= 0


def test_a_first_day_that_is_not_there_is_refused():
    with pytest.raises(KeyError):
        play([[1_000]], first=plain.FIRST - timedelta(days=1))
