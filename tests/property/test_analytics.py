"""Statistics hold for whatever prices come: ties, constants, gaps, one quote, none, extremes."""

import math
import statistics
from itertools import combinations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from services.market.analytics import factors, kernels, signals
from services.market.analytics.panel import NONE, Panel
from services.market.analytics.ranks import average_ranks, centred
from tests.unit.market.analytics import plain

# The largest stands alone: between two neighbours of its size a float has few digits left.
CENTS = st.one_of(
    st.sampled_from([NONE, 100, 101, 2**31 - 1]), st.integers(1, 5), st.integers(1, 10**7)
)
FLOATS = st.one_of(
    st.just(math.nan),
    st.sampled_from([0.0, -0.0, 1.0, 1e-300, -1e300]),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def panels(draw, most=45):
    days = draw(st.integers(1, most))
    rows = draw(st.lists(st.lists(CENTS, min_size=days, max_size=days), min_size=1, max_size=6))
    return np.array(rows, np.int32)


def compute(cents):
    return signals.compute(Panel.load(plain.FIRST, cents))


@given(panels())
@example(np.full((2, 1), NONE, np.int32))
@example(np.array([[1, 2**31 - 1] * 20], np.int32))
@settings(deadline=None)
def test_signals_are_their_plain_definitions(cents):
    found = compute(cents)
    for card, row in enumerate(cents.tolist()):
        for name, value in plain.signals(row).items():
            mine = found[name].values[card]
            if value is None:
                assert math.isnan(mine)
            else:
                assert math.isclose(mine, value, rel_tol=1e-7, abs_tol=1e-9), name


@given(panels(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_cards_means_nothing(cents, random):
    order = list(range(len(cents)))
    random.shuffle(order)
    one, other = compute(cents), compute(cents[order])
    np.testing.assert_array_equal(one.values[:, order], other.values)
    np.testing.assert_array_equal(one.reasons[:, order], other.reasons)


@given(panels(), st.sampled_from([2, 7, 100]))
@settings(deadline=None)
def test_another_unit_of_money_changes_nothing(cents, factor):
    small = np.where(cents == NONE, NONE, cents % 10**7 + 1).astype(np.int32)
    large = np.where(small == NONE, NONE, small * factor).astype(np.int32)
    one, other = compute(small), compute(large)
    np.testing.assert_array_equal(one.reasons, other.reasons)
    names = [name for name in signals.NAMES if name != "composite"]
    for name in names:
        np.testing.assert_allclose(
            one[name].values, other[name].values, rtol=1e-6, atol=1e-7, err_msg=name
        )


@given(panels(), panels())
@settings(deadline=None)
def test_days_that_follow_change_no_signal(cents, later):
    count = min(len(cents), len(later))
    whole = Panel.load(plain.FIRST, np.hstack([cents[:count], later[:count]]))
    then = whole.as_of(Panel.load(plain.FIRST, cents).last)
    one, other = signals.compute(then), compute(cents[:count])
    assert one.values.tobytes() == other.values.tobytes()


@given(st.lists(FLOATS, max_size=60))
def test_ranks_average_ties(values):
    found = average_ranks(np.array(values, float))
    expected = stats.rankdata(values, nan_policy="omit") if values else []
    np.testing.assert_array_equal(found, expected)
    known = found[~np.isnan(found)]
    assert math.isclose(known.sum(), len(known) * (len(known) + 1) / 2)
    assert np.nansum(centred(np.array(values, float))) == 0 or abs(np.nansum(centred(known))) < 1e-9


# Long enough that the selection samples, and coarse enough that many slopes are equal.
LONG = st.lists(
    st.one_of(st.just(NONE), st.integers(90, 96), st.integers(1, 10**6)), min_size=60, max_size=91
)


@given(LONG)
@settings(deadline=None)
def test_the_slope_is_the_exact_median_of_all_pairs(row):
    cents = np.array([row], np.int32)
    panel = Panel.load(plain.FIRST, cents)
    seen = [(day, value) for day, value in enumerate(panel.logs[0].tolist()) if value == value]
    if len(seen) < 3:
        return
    found = kernels.theil_sen(*panel.for_kernels, 90, 3)[0]
    assert found == statistics.median((b - a) / (j - i) for (i, a), (j, b) in combinations(seen, 2))
    days, logs = zip(*seen, strict=True)
    assert math.isclose(found, stats.theilslopes(logs, days)[0], rel_tol=1e-9, abs_tol=1e-15)


@given(
    st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=80),
    st.integers(1, 7),
)
@settings(deadline=None)
def test_evaluation_is_bounded_and_counts_everyone(pairs, quantiles):
    values, moves = np.array(pairs).T.reshape(2, 1, -1)
    moves = np.tanh(moves)
    found = factors.evaluate(values, moves, quantiles, least=2)
    both = int((~np.isnan(values + moves)).sum())
    assert found.counts.sum() == (both if both >= 2 else 0)
    assert np.isnan(found.ic[0]) or -1 - 1e-12 <= found.ic[0] <= 1 + 1e-12
    assert not np.any(np.isinf(found.returns))
