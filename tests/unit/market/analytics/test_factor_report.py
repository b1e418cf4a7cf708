"""The factor report: the published signals as factors, and canaries that sing when they should."""

import numpy as np
import pytest

from services.market.analytics import factor_report, signals
from services.market.analytics.factor_report import FACTORS
from services.market.analytics.panel import Panel
from tests.unit.market.analytics import plain, real


@pytest.fixture(scope="module")
def panels():
    cents = np.clip(plain.walks(4, 60, 150) + 2_000, 1, None).astype(np.int32)
    market = Panel.load(plain.FIRST, cents)
    low = Panel.load(plain.FIRST, np.maximum(cents - 50, 1).astype(np.int32))
    return market, low


def test_exposures_are_the_published_signals(panels):
    market, low = panels
    found = factor_report.exposures(market, low)
    published = signals.compute(market, low)
    for name, row in zip(FACTORS, found, strict=True):
        if name != "price":
            shown = np.where(np.isnan(row), np.nan, published[name].values)
            np.testing.assert_array_equal(row, shown)


def test_cards_below_the_price_have_no_part(panels):
    market, low = panels
    cents = market.cents.copy()
    cents[0] = factor_report.LEAST_CENTS - 1
    found = factor_report.exposures(Panel.load(market.first, cents), low)
    assert np.isnan(found[:, 0]).all()
    assert not np.isnan(found[-1, 1:]).all()


def test_a_report_passes_and_says_on_what_it_rests(panels):
    found = factor_report.report(*panels)
    assert found.passed
    assert (len(found.recomputed), list(found.differing)) == (3, [])
    assert [one.name for one in found.factors] == list(FACTORS)
    assert {(line.kind, line.horizon) for line in found.factors[0].lines} == {
        (kind, horizon) for kind in ("market", "low") for horizon in factor_report.HORIZONS
    }
    again = factor_report.report(*panels)
    assert repr(again) == repr(found)  # to the last bit


def test_a_number_that_looks_ahead_is_found(panels, monkeypatch):
    honest = factor_report.exposures

    def peeks(market, low):
        found = honest(market, low)
        ahead = market._cents[:, -1]  # whatever lies in memory, later days too
        found[0] = np.where(np.isnan(found[0]), np.nan, ahead)
        return found

    monkeypatch.setattr(factor_report, "exposures", peeks)
    found = factor_report.report(*panels)
    assert found.differing
    assert not found.passed


def test_on_real_prices_momentum_is_there_and_weaker_on_low():
    market, low = real.sample()
    found = factor_report.report(market, low)
    assert found.passed
    by_name = {one.name: one for one in found.factors}
    lines = {(one.kind, one.horizon): one for one in by_name["momentum_30"].lines}
    assert lines[("market", 30)].ic > 0.1
    assert lines[("low", 30)].ic < lines[("market", 30)].ic
