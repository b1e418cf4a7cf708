"""An index moves with its members' prices, and with nothing else."""

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.market.analytics import indices
from services.market.analytics.indices import Weighting
from services.market.analytics.panel import NONE, Panel
from tests.unit.market.analytics import plain, real


def everyone(panel):
    return np.ones(panel.card_count, bool)


def month(panel, every=7):
    return list(panel)[::every]


def test_buy_and_hold_is_the_worth_of_a_basket():
    panel = plain.panel([[100, 110, 120], [400, 400, 200]])
    price = indices.follow(panel, everyone, Weighting.PRICE)
    np.testing.assert_allclose(price.levels, [100, 102, 64])
    equal = indices.follow(panel, everyone, Weighting.EQUAL)
    np.testing.assert_allclose(equal.levels, [100, 105, 85])
    assert price.members.tolist() == [2, 2, 2]


def test_rebalanced_daily_is_the_product_of_mean_returns():
    cents = plain.walks(1, 20, 60, gaps=0)[4:]
    panel = Panel.load(plain.FIRST, cents)
    found = indices.follow(panel, everyone, Weighting.EQUAL, list(panel))
    steps = (cents[:, 1:] / cents[:, :-1]).mean(axis=0)
    np.testing.assert_allclose(found.levels, 100 * np.cumprod([1, *steps]), rtol=1e-12)


def test_who_enters_or_leaves_does_not_move_the_level():
    """Prices stand still; each week others belong, a thousand times as dear."""
    cents = np.array([[100] * 30, [100_000] * 30, [7] * 30], np.int32)
    panel = Panel.load(plain.FIRST, cents)

    def members(then):
        mask = np.zeros(3, bool)
        mask[then.day_count % 3 :] = True
        return mask

    for weighting in Weighting:
        found = indices.follow(panel, members, weighting, list(panel))
        np.testing.assert_allclose(found.levels, 100, rtol=1e-12)
        assert set(found.members.tolist()) == {1, 2, 3}


@given(
    st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=12),
    st.lists(st.integers(1, 10**6), min_size=4, max_size=4),
    st.sampled_from(Weighting),
)
def test_any_change_of_members_at_unchanged_prices_leaves_the_level(masks, prices, weighting):
    state = indices.State.empty(4)
    state.see(np.array(prices, np.int32))
    state.hold(indices.copies_of(weighting, np.ones(4, bool), state.last))
    for mask in masks:
        state.hold(indices.copies_of(weighting, np.array(mask), state.last))
        state.see(np.array(prices, np.int32))
        assert state.level == pytest.approx(100, rel=1e-12)


def test_a_gap_keeps_the_last_price_and_a_long_one_ends_membership():
    quiet = [200] + [None] * 40 + [2]
    panel = plain.panel([[100] * 42, quiet])
    found = indices.follow(panel, everyone, Weighting.PRICE)
    np.testing.assert_allclose(found.levels, 100, rtol=1e-12)
    assert found.members[30] == 2
    assert found.members[31:].tolist() == [1] * 11


def test_before_anything_is_quoted_there_is_no_level():
    found = indices.follow(plain.panel([[None, None, 100, 150]]), everyone, Weighting.EQUAL)
    np.testing.assert_allclose(found.levels, [np.nan, np.nan, 100, 150])
    assert np.isnan(indices.naive_average(plain.panel([[None]]))).all()


def test_continuing_a_state_is_the_same_as_going_through_again():
    panel = Panel.load(plain.FIRST, plain.walks(2, 12, 50))
    whole = indices.follow(panel, everyone, Weighting.EQUAL)
    part = indices.follow(panel.as_of(plain.FIRST + timedelta(days=30)), everyone, Weighting.EQUAL)
    assert whole.levels[:31].tobytes() == part.levels.tobytes()


def slowly(rows, rebalance):
    """An equal-weighted index as a wallet: sold and bought anew on the days of `rebalance`."""
    wallet, worth, last, ages, levels = {}, None, {}, {}, []
    for day in range(len(rows[0])):
        for card, row in enumerate(rows):
            if row[day] != NONE:
                last[card], ages[card] = row[day], 0
            else:
                ages[card] = ages.get(card, 0) + 1
        if wallet:
            worth = math.fsum(copies * last[card] for card, copies in wallet.items())
        fresh = {card: copies for card, copies in wallet.items() if ages[card] <= indices.STALE}
        if len(fresh) < len(wallet):
            rest = math.fsum(copies * last[card] for card, copies in fresh.items())
            wallet = {card: copies * worth / rest for card, copies in fresh.items()}
        if worth is None or day in rebalance:
            members = [card for card, row in enumerate(rows) if row[day] != NONE]
            worth = worth if worth is not None else (100.0 if members else None)
            wallet = {card: worth / len(members) / last[card] for card in members}
        levels.append(math.nan if worth is None else worth)
    return levels


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_it_is_what_a_wallet_would_be_worth(seed):
    cents = plain.walks(seed, 8, 150, gaps=0.2)
    cents[5, 40:] = NONE
    panel = Panel.load(plain.FIRST, cents)
    found = indices.follow(panel, everyone, Weighting.EQUAL, month(panel, 28))
    expected = slowly(cents.tolist(), set(range(0, 150, 28)))
    np.testing.assert_allclose(found.levels, expected, rtol=1e-10)


def test_real_prices_who_comes_and_goes_moves_the_naive_average_only():
    market, _ = real.sample()
    index = indices.follow(market, everyone, Weighting.PRICE, month(market, 28))
    assert not np.isnan(index.levels).any()
    steps = np.abs(np.diff(np.log(index.levels)))
    naive = np.abs(np.diff(np.log(indices.naive_average(market))))
    assert steps.max() < naive.max()
