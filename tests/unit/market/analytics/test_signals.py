"""Signals against their plain definitions, and why they are unknown where they are."""

import math
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
import pytest
from scipy import stats

from services.market.analytics import catalogue, signals
from services.market.analytics.catalogue import NAMES, Reason, Weights
from services.market.analytics.panel import NONE, Panel
from tests.unit.market.analytics import plain, real

GROUPS = [(1, 40, 0.1, 0.6), (2, 120, 0.3, 0.9), (3, 420, 0.05, 0.3), (4, 800, 0.1, 0.85)]


@pytest.mark.parametrize(("seed", "days", "gaps", "rest"), GROUPS)
def test_signals_are_what_they_say(seed, days, gaps, rest):
    cents = plain.walks(seed, 16, days, gaps, rest)
    found = signals.compute(Panel.load(plain.FIRST, cents))
    for card, row in enumerate(cents.tolist()):
        for name, value in plain.signals(row).items():
            mine = found[name].values[card]
            if value is None:
                assert np.isnan(mine), (name, card)
                assert found[name].reasons[card] != Reason.KNOWN
            else:
                assert mine == pytest.approx(value, rel=1e-9, abs=1e-12), (name, card)
                assert found[name].reasons[card] == Reason.KNOWN


def test_known_and_unknown_are_told_apart_by_reasons_alone():
    found = signals.compute(Panel.load(plain.FIRST, plain.walks(5, 30, 500)))
    np.testing.assert_array_equal(np.isnan(found.values), found.reasons != Reason.KNOWN)
    assert found.values.shape == (len(NAMES), 30)


def reason(row, name, low=None):
    asks = None if low is None else plain.panel([low])
    return Reason(signals.compute(plain.panel([row]), asks)[name].reasons[0])


@pytest.mark.parametrize(
    ("row", "name", "expected"),
    [
        ([100] * 30 + [None] * 7, "slope_30", Reason.NO_QUOTE),
        ([100] * 30 + [None] * 7, "composite", Reason.NO_QUOTE),
        ([None] * 30 + [100] * 3, "slope_7", Reason.TOO_FEW_QUOTES),
        ([None] * 30 + [100] * 3, "drawdown_90", Reason.TOO_FEW_QUOTES),
        ([None] * 30 + [100] * 4, "slope_7", Reason.KNOWN),
        ([100, 101] * 5, "trend_low_30", Reason.TOO_FEW_QUOTES),
        ([100] * 21 + [101, 100] * 4 + [101], "trend_low_30", Reason.TOO_FEW_MOVES),
        ([100] * 21 + [101, 100] * 5, "trend_low_30", Reason.KNOWN),
        ([100] * 31, "trend_30", Reason.KNOWN),
        ([100] * 31, "reversion_z_30", Reason.CONSTANT),
        ([100] * 31, "median_move_30", Reason.TOO_FEW_MOVES),
        ([None] * 10 + [100] * 25, "momentum_30", Reason.NO_PAST_QUOTE),
        ([100] * 31, "ask_premium", Reason.NO_LOW),
        ([100] * 30 + [None], "ask_premium", Reason.NO_QUOTE),
        ([100] * 729, "seasonality_30", Reason.SHORT_HISTORY),
        ([100] * 740, "seasonality_30", Reason.KNOWN),
        ([100] * 5, "composite", Reason.TOO_FEW_PARTS),
    ],
)
def test_the_reason_why(row, name, expected):
    assert reason(row, name) == expected


def test_a_price_at_rest_has_a_trend_of_exactly_nothing():
    found = signals.compute(plain.panel([[123] * 400]))
    for name in ("slope_90", "trend_90", "momentum_90", "volatility_90", "drawdown_365"):
        assert found[name].values[0] == 0


def test_the_ask_premium_is_of_the_day_itself():
    market, low = plain.panel([[100, 200], [100, 200]]), plain.panel([[90, 250], [90, None]])
    found = signals.compute(market, low)["ask_premium"]
    assert found.values[0] == pytest.approx(0.25)
    assert found.reasons.tolist() == [Reason.KNOWN, Reason.NO_LOW]


def test_low_must_be_of_the_same_cards_and_days():
    with pytest.raises(ValueError, match="same cards"):
        signals.compute(plain.panel([[1]]), plain.panel([[1], [2]]))
    with pytest.raises(ValueError, match="same cards"):
        signals.compute(plain.panel([[1, 2]]), plain.panel([[1]]))


def test_the_composite_is_the_weighted_rank():
    market = Panel.load(plain.FIRST, plain.walks(6, 40, 200))
    weights = Weights("test", MappingProxyType({"momentum_30": 0.5, "volatility_90": -1.5}))
    found = signals.compute(market, weights=weights)
    parts = np.zeros(40)
    for name, weight in weights.parts.items():
        values = found[name].values
        known = np.count_nonzero(~np.isnan(values))
        ranks = stats.rankdata(values, nan_policy="omit")
        parts += weight * (ranks - (known + 1) / 2) / (known / 2)
    whole = ~np.isnan(parts)
    np.testing.assert_allclose(found["composite"].values[whole], parts[whole] / 2, rtol=1e-12)
    assert found.weights == "test"
    assert np.isnan(found["composite"].values[0])


def test_weights_name_signals_that_exist():
    for parts in ({"momentum": 1.0}, {"composite": 1.0}, {"slope_7": 0.0}):
        with pytest.raises(ValueError, match=r"signal|weight"):
            Weights("bad", MappingProxyType(parts))


def test_the_catalogue_says_everything_once():
    assert len(set(NAMES)) == len(NAMES)
    for signal in catalogue.CATALOGUE:
        assert all((signal.title, signal.formula, signal.unit, signal.source))
    with pytest.raises(KeyError):
        signals.compute(plain.panel([[1]]))["nonsense"]


@pytest.mark.parametrize("days", [1300, 760, 735])
def test_the_weeks_of_earlier_years_serve_as_well_as_all_days(days):
    whole = Panel.load(plain.FIRST, plain.walks(8, 60, days))
    start, back = whole.last - timedelta(days=399), signals.SLACK - 1
    recent = Panel.load(start, whole.cents[:, -400:].copy())
    wanted = [
        day
        for day in signals.season_days(whole.last, whole.first)
        if day - timedelta(days=back) < start
    ]
    earlier = []
    for day in wanted:
        first = max(day - timedelta(days=back), whole.first)
        columns = slice(whole.index(first), whole.index(day) + 1)
        earlier.append(Panel.load(first, whole.cents[:, columns].copy()))
    expected = signals.compute(whole)["seasonality_30"]
    found = signals.compute(recent, earlier=earlier)["seasonality_30"]
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.reasons, expected.reasons)
    assert np.isnan(expected.values).mean() < 0.9
    assert wanted


def test_a_leap_day_has_seasons_too():
    first = date(2020, 1, 1)
    days = (date(2024, 2, 29) - first).days + 1
    found = signals.compute(Panel.load(first, np.full((1, days), 500, np.int32)))
    assert found["seasonality_30"].values[0] == 0


def test_real_prices_no_signal_changes_when_later_days_come():
    market, low = real.sample()
    for day in (date(2025, 2, 11), date(2025, 7, 27), date(2025, 12, 30)):
        then = signals.compute(market.as_of(day), low.as_of(day))
        cut = signals.compute(market.truncated(day), low.truncated(day))
        np.testing.assert_array_equal(then.values, cut.values)
        np.testing.assert_array_equal(then.reasons, cut.reasons)


def test_real_prices_give_the_same_bits_again():
    market, low = real.sample()
    one, two = (signals.compute(market, low) for _ in range(2))
    assert one.values.tobytes() == two.values.tobytes()


@pytest.mark.parametrize("window", [30, 90])
def test_real_returns_of_either_sign_hold_the_interval(window):
    """Without drift a 95 % interval excludes 0 for 3 to 7 in 100."""
    market, _ = real.sample()
    random = np.random.default_rng(20250101)
    missed, known = 0, 0
    for last in range(window, market.day_count, window):
        part = market.cents[:, last - window : last + 1]
        flipped = flip(part, random)
        found = signals.compute(Panel.load(market.first, flipped))
        lower, upper = (found[f"trend_{end}_{window}"].values for end in ("low", "high"))
        missed += np.count_nonzero((lower > 0) | (upper < 0))
        known += np.count_nonzero(~np.isnan(lower))
    assert known > 1000
    assert 0.03 <= missed / known <= 0.07


def flip(cents, random):
    """Prices whose returns have the same sizes, each of either sign by chance."""
    known = cents != NONE
    logs = np.log(np.where(known, cents, 1))
    level, before = np.full(len(cents), math.log(1e6)), np.full(len(cents), np.nan)
    out = np.full(cents.shape, NONE, np.int32)
    for day in range(cents.shape[1]):
        step = np.nan_to_num(logs[:, day] - before) * known[:, day]
        level = (level + step * random.choice((-1, 1), len(cents))).clip(0, 21)
        before = np.where(known[:, day], logs[:, day], before)
        out[known[:, day], day] = np.rint(np.exp(level[known[:, day]]))
    return out


def test_days_are_calendar_days():
    """A gap makes the slope flatter: what lies between two quotes is time, not one step."""
    near = signals.compute(plain.panel([[100, 110, 121, 133]]))["slope_7"].values[0]
    far = signals.compute(plain.panel([[100, None, 110, None, 121, None, 133]]))
    assert near == pytest.approx(math.log(1.1), rel=0.01)
    assert far["slope_7"].values[0] == pytest.approx(near / 2, rel=1e-12)
    assert plain.FIRST + timedelta(days=6) == far.day
