"""Factor statistics against scipy and plain loops; the canaries sing when they should."""

import math
from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from services.market.analytics import canaries, factors, kernels
from services.market.analytics.panel import Panel
from tests.unit.market.analytics import plain, real


def world(seed=1, cards=60, days=120):
    """(factor days × cards with gaps and ties, panel)."""
    random = np.random.default_rng(seed)
    panel = Panel.load(plain.FIRST, plain.walks(seed, cards, days))
    factor = np.round(random.normal(size=(days, cards)), 1)
    factor[random.random(factor.shape) < 0.1] = np.nan
    return factor, panel


def test_forward_returns_are_of_both_days():
    panel = plain.panel([[100, 110, None, 121], [300, 330, 1, None]])
    found = factors.forward_returns(panel, 1)
    expected = [[0.1, 0.1], [np.nan, 1 / 330 - 1], [np.nan, np.nan], [np.nan, np.nan]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # Equal ratios are equal bits: 110/100 and 330/300.
    assert found[0, 0] == found[0, 1]


def test_rank_ic_is_spearman_over_the_cards_that_have_both():
    factor, panel = world()
    forward = factors.forward_returns(panel, 7)
    found = factors.rank_ic(factor, forward, least=5)
    for day in range(len(factor) - 7):
        both = ~(np.isnan(factor[day]) | np.isnan(forward[day]))
        expected = stats.spearmanr(factor[day][both], forward[day][both]).statistic
        assert found[day] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(found[-7:]).all()


def test_too_few_cards_or_no_spread_have_no_ic():
    factor, panel = world(cards=20)
    forward = factors.forward_returns(panel, 1)
    assert np.isnan(factors.rank_ic(factor, forward)).all()
    same = np.ones((3, 40))
    assert np.isnan(factors.rank_ic(same, same)).all()


def test_quantiles_split_by_rank_and_never_part_equals():
    values = np.array([[5.0, 1, 1, 1, 2, 3, 3, 4, 6, 7, np.nan]])
    moves = np.array([[0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]])
    found = factors.evaluate(values, moves, quantiles=5, least=5)
    # ranks: 1,1,1 → 2; 2 → 4; 3,3 → 5.5; 4 → 7; 5 → 8; 6 → 9; 7 → 10 of 10
    assert found.counts.tolist() == [[3, 1, 2, 2, 2]]
    np.testing.assert_allclose(found.returns, [[2, 4, 5.5, 3.75, 8.5]])
    assert found.spread[0] == 6.5
    held = factors.evaluate(values, moves, quantiles=5, least=5, limit=4.0)
    np.testing.assert_allclose(held.returns, [[2, 4, 4, 2.25, 4]])


def newey_west_plainly(values, lags):
    """statsmodels' HAC covariance of a regression on a constant, by its definition."""
    n, mean = len(values), sum(values) / len(values)
    rest = [value - mean for value in values]
    total = sum(r * r for r in rest)
    for lag in range(1, lags + 1):
        cross = sum(rest[i] * rest[i - lag] for i in range(lag, n))
        total += 2 * (1 - lag / (lags + 1)) * cross
    return mean / (math.sqrt(total) / n)


@pytest.mark.parametrize("horizon", [1, 5, 30])
def test_newey_west(horizon):
    random = np.random.default_rng(horizon)
    series = np.convolve(random.normal(0.1, 1, 300), np.ones(horizon) / horizon, "valid")
    found = factors.newey_west(np.insert(series, [3, 50], np.nan), horizon)
    assert found.lags == max(horizon - 1, 5 if found.count >= 273 else 4)
    assert found.t == pytest.approx(newey_west_plainly(series.tolist(), found.lags), rel=1e-12)
    assert found.naive_t == pytest.approx(stats.ttest_1samp(series, 0).statistic, rel=1e-12)
    assert found.count == len(series)


@pytest.mark.parametrize("series", [[], [1.0], [0.5] * 50, [np.nan] * 9])
def test_what_does_not_vary_has_no_t(series):
    assert np.isnan(factors.newey_west(np.array(series, float)).t)


def test_turnover_counts_who_is_new():
    factor = np.array([[1.0, 2, 3, 4], [1, 2, 4, 3], [4, 3, 2, 1], [np.nan, 2, 3, 1]])
    found = factors.turnover(factor, quantiles=2)
    np.testing.assert_array_equal(found, [[np.nan] * 2, [0, 0], [1, 1], [0, 1 / 2]])
    assert factors.rank_autocorrelation(np.tile(np.arange(40.0), (3, 1)))[1:] == pytest.approx(1)


def test_what_trading_costs():
    spread = np.array([0.05, 0.05])
    moved = np.array([[np.nan, 0, np.nan], [0.5, 0.9, 0.25]])
    np.testing.assert_allclose(factors.net_spread(spread, moved, 0.1), [np.nan, 0.05 - 0.075])


def test_factor_returns_are_slopes_of_a_regression():
    random = np.random.default_rng(3)
    one, two = random.normal(size=(2, 4, 80))
    forward = 0.3 * stats.rankdata(one, axis=1) + 0.01 * random.normal(size=(4, 80))
    forward[0, :5] = np.nan
    found = factors.factor_returns([one, two], forward)
    for day in range(4):
        known = ~np.isnan(forward[day])
        ranks = [stats.zscore(stats.rankdata(x[day, known])) for x in (one, two)]
        normal = np.column_stack([np.ones(known.sum()), *ranks])
        expected = np.linalg.solve(normal.T @ normal, normal.T @ forward[day, known])[1:]
        np.testing.assert_allclose(found[day], expected, rtol=1e-9)
    assert np.isnan(factors.factor_returns([one, one * 2], forward)).all()


def test_smoothing_weighs_by_age():
    values = np.array([[1.0, np.nan], [np.nan, 5], [4, 6]])
    found = factors.smooth(values, halflife=1)
    np.testing.assert_allclose(found[2], [(4 + 1 / 4) / (1 + 1 / 4), (6 + 5 / 2) / (1 + 1 / 2)])
    assert np.isnan(found[1, 0])


def test_weights_are_neutral_and_of_size_one():
    found = factors.weights(np.array([3.0, np.nan, 1, 2, 2]))
    np.testing.assert_allclose(found, [0.5, 0, -0.5, 0, 0], atol=1e-15)
    assert not factors.weights(np.array([1.0, 1.0])).any()


def test_by_day_reads_as_of_each_day():
    panel = plain.panel([[1, 2, 3, 4]])
    days = [plain.FIRST + timedelta(days=1), plain.FIRST + timedelta(days=3)]
    found = factors.by_day(lambda then: then.cents[:, -1].astype(float), panel, days)
    assert found.tolist() == [[2], [4]]


def test_a_shuffled_factor_is_worth_nothing_whatever_it_was():
    _, panel = world(cards=300)
    forward = factors.forward_returns(panel, 1)
    found = canaries.shuffled(forward, forward, seed=7)
    assert found.passed
    assert found == canaries.shuffled(forward, forward, seed=7)
    assert abs(found.mean) < 0.02
    assert not canaries.Shuffled(0.05, 0.01, 20).passed
    assert not canaries.shuffled(forward[:, :5], forward[:, :5], seed=7).passed


def test_the_guard_tells_who_looked_ahead():
    _, panel = world()
    days = canaries.past_days(list(panel), seed=1)
    assert len(days) == 3
    assert days == canaries.past_days(list(panel), seed=1)

    def honest(then):
        return kernels.known(*then.for_kernels, 0, 6)

    def peeking(then):
        logs, _ = then.for_kernels
        return logs[:, min(then.day_count, logs.shape[1] - 1)]

    for compute, expected in ((honest, []), (peeking, days)):
        stored = {day: compute(panel.as_of(day)) for day in days}
        assert canaries.look_ahead(compute, [panel], stored) == expected


def momentum(panel, lag, least_cents):
    logs = panel.logs.T
    out = np.full(logs.shape, np.nan)
    out[lag:] = logs[lag:] - logs[:-lag]
    out[least_cents > panel.cents.T] = np.nan
    return out


def test_real_momentum_is_mostly_smoothing_of_the_quote():
    market, low = real.sample()
    factor = momentum(market, 30, 500)
    kinds = {"market": market, "low": low}
    lines = canaries.table(factor, kinds, horizons=(30,), cost=0.15, seed=20250101)
    on_market, on_low = lines
    assert on_market.ic > 2 * on_low.ic
    assert on_market.naive_t > 2 * on_market.t > 4
    assert on_market.gross > on_market.net
    assert all(line.canary.passed for line in lines)


def test_decay_has_a_mean_for_each_horizon():
    factor, panel = world(cards=80)
    found = factors.ic_decay(factor, panel, (1, 5))
    expected = factors.rank_ic(factor, factors.forward_returns(panel, 5))
    assert found[5].mean == pytest.approx(np.nanmean(expected))
    assert set(found) == {1, 5}
