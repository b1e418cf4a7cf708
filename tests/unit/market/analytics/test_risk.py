"""Risk figures against scipy, plain sums and cases worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from services.market.analytics import indices, risk
from services.market.analytics.panel import Panel
from tests.unit.market.analytics import plain, real


def levels(seed, days=400, size=0.02):
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, size, days)))


def test_gaps_are_filled_for_a_while():
    found = risk.filled(plain.panel([[None, 5, None, None, None, 7]]), stale=2)
    np.testing.assert_array_equal(found, [[np.nan, 5, 5, 5, np.nan, 7]])


def test_returns_end_on_the_last_day():
    found = risk.log_returns(np.exp(np.arange(10.0)), horizon=3, step=2)
    np.testing.assert_allclose(found, [3, 3, 3, 3])
    line = np.exp(np.arange(10.0) ** 2)
    assert risk.log_returns(line, 3, 5)[-1] == pytest.approx(81 - 36)


def test_volatility_of_independent_returns_does_not_depend_on_the_horizon():
    walk = levels(1, 20_000)
    assert risk.volatility(walk, 1) == pytest.approx(0.02 * math.sqrt(365), rel=0.03)
    assert risk.volatility(walk, 28) == pytest.approx(0.02 * math.sqrt(365), rel=0.1)
    assert math.isnan(risk.volatility(walk[:50], 28))


def test_beta_is_the_slope_of_returns_over_28_days():
    index, own = levels(2), levels(3)
    mine = index**0.7 * own
    found = risk.beta(mine, index)
    ends = range(28, 400)
    ours = [math.log(mine[t] / mine[t - 28]) for t in ends]
    theirs = [math.log(index[t] / index[t - 28]) for t in ends]
    assert found.value == pytest.approx(stats.linregress(theirs, ours).slope, rel=1e-9)
    assert found.count == 372
    assert math.isnan(risk.beta(mine, np.full(400, 5.0)).value)
    assert math.isnan(risk.beta(mine[:40], index[:40]).value)


def test_dimson_finds_the_beta_of_a_quote_that_is_late():
    steps = np.random.default_rng(4).normal(0, 0.02, 3000)
    index = np.exp(np.cumsum(steps))
    late = np.exp(1.3 * np.cumsum(np.convolve(steps, np.ones(4) / 4)[:3000]))
    found = risk.dimson_beta(late, index)
    assert found.value == pytest.approx(1.3, abs=0.01)
    assert abs(risk.beta(late, index, 1).value) < 0.5
    assert found.count == 2999 - 7
    assert math.isnan(risk.dimson_beta(late[:30], index[:30]).value)
    assert math.isnan(risk.dimson_beta(late, np.ones(3000)).value)


def ledoit_wolf_plainly(x):
    """The paper's estimator with its sums over observations written out."""
    n, p = x.shape
    x = x - x.mean(axis=0)
    sample = sum(np.outer(row, row) for row in x) / n
    m = sum(sample[i, i] for i in range(p)) / p
    d2 = ((sample - m * np.eye(p)) ** 2).sum() / p
    b2 = sum(((np.outer(row, row) - sample) ** 2).sum() / p for row in x) / n**2
    b2 = min(b2, d2)
    return b2 / d2 * m * np.eye(p) + (d2 - b2) / d2 * sample, b2 / d2


@pytest.mark.parametrize(("count", "assets"), [(12, 30), (200, 5), (2, 3)])
def test_shrinking_is_ledoit_and_wolf(count, assets):
    random = np.random.default_rng(count)
    returns = random.normal(size=(count, assets)) @ random.normal(size=(assets, assets))
    found = risk.shrunk(returns)
    expected, share = ledoit_wolf_plainly(returns)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-9)
    assert found.shrinkage == pytest.approx(share)
    np.testing.assert_allclose(np.diag(found.correlation), 1)
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-12


def test_shrinking_what_cannot_be():
    for returns in (np.ones((1, 3)), np.array([[1, np.nan], [1, 2]])):
        with pytest.raises(ValueError, match="two observations"):
            risk.shrunk(returns)
    assert np.isnan(risk.shrunk(np.ones((5, 2))).correlation).all()


def test_drawdown():
    found = risk.drawdown(np.array([np.nan, 100, 120, np.nan, 60, 130, 110]))
    assert found == risk.Drawdown(-0.5, 2, 4)
    assert risk.drawdown(np.array([1.0, 2, 3])).depth == 0
    assert math.isnan(risk.drawdown(np.full(3, np.nan)).depth)


def test_value_at_risk_is_the_loss_of_the_worst_cases():
    walk = levels(5, 430, 0.05)
    found = risk.value_at_risk(walk)
    losses = sorted(1 - walk[t] / walk[t - 30] for t in range(30, 430))[::-1]
    assert found.count == 400
    assert found.independent == 13
    assert found.var == pytest.approx(losses[19])
    assert found.es == pytest.approx(sum(losses[:20]) / 20)
    assert found.es >= found.var > 0


def test_no_value_at_risk_without_days_or_moves():
    for walk in (levels(6, 200), np.full(500, 7.0), np.arange(1.0, 501.0)):
        assert math.isnan(risk.value_at_risk(walk).var)


def test_a_basket_is_worth_its_cards():
    panel = plain.panel([[100, 110, None], [500, None, 400], [None] * 3])
    np.testing.assert_allclose(risk.basket(panel, np.array([2.0, 1, 0])), [700, 720, 620])
    assert np.isnan(risk.basket(panel, np.ones(3))).all()


def test_real_prices_daily_beta_is_an_artefact_of_stale_quotes():
    market, _ = real.sample()
    every = np.ones(market.card_count, bool)
    index = indices.follow(market, lambda panel: every[: panel.card_count], indices.Weighting.EQUAL)
    dear = np.flatnonzero((market.cents[:, 0] >= 500) & (market.cents[:, -1] >= 500))[:60]
    prices = risk.filled(market)
    daily, monthly = (
        np.nanmedian([abs(risk.beta(prices[card], index.levels, days).value) for card in dear])
        for days in (1, 28)
    )
    assert daily < monthly
    panel = Panel.load(market.first, market.cents[dear].copy())
    assert risk.value_at_risk(risk.basket(panel, np.ones(len(dear)))).count >= 0
