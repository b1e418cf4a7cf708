"""Stale cards, stale sources, suspect ticks, movers with evidence, and what a seller gets."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.market.analytics import movers, quality, realisable, ticks
from services.market.analytics.panel import NONE
from services.market.analytics.quality import Health
from services.market.analytics.ticks import Suspect, Verdict
from tests.unit.market.analytics import plain, real


def day(number):
    return plain.FIRST + timedelta(days=number)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ([None] * 9, "never quoted"),
        ([100] * 9, "moved 0 times in 90 days"),
        ([100] * 4 + [101] * 5, "moved once in 90 days, last 4 days ago"),
        ([100, 101, None, 100], "moved 2 times in 90 days, last today"),
        ([100, 101, 102, None], "moved 2 times in 90 days, last 1 day ago"),
        ([1] + [2] * 100, "moved 0 times in 90 days, last 99 days ago"),
    ],
)
def test_staleness_in_words(row, sentence):
    assert quality.staleness(plain.panel([row])).sentence(0) == sentence


def test_ages():
    found = quality.staleness(plain.panel([[5, 6, None], [5, 5, 5], [None] * 3]))
    assert found.quote_age.tolist() == [1, 0, -1]
    assert found.move_age.tolist() == [1, -1, -1]


def test_the_moved_share_is_of_cards_quoted_on_both_days():
    panel = plain.panel([[1, 2, 3], [1, 1, None], [None, 1, 2]])
    np.testing.assert_array_equal(quality.moved_share(panel), [np.nan, 0.5, 1.0])
    rows = np.array([False, True, False])
    np.testing.assert_array_equal(quality.moved_share(panel, rows), [np.nan, 0.0, np.nan])


@pytest.mark.parametrize(
    ("today", "identical", "health"),
    [
        (0.20, False, Health.SOUND),
        (0.12, False, Health.SOUND),
        (0.119, False, Health.DEGRADED),
        (0.03, False, Health.DEGRADED),
        (0.029, False, Health.BLOCKED),
        (0.20, True, Health.BLOCKED),
        (np.nan, False, Health.NEW),
    ],
)
def test_a_stale_part_of_a_source(today, identical, health):
    past = [np.nan, 0.9, 0.1] + [0.2] * 27
    found = quality.judge(np.array([*past, today]), identical=identical)
    assert found.health is health
    assert found.usual == 0.2


def test_a_new_part_is_not_judged():
    assert quality.judge(np.array([0.2] * 6 + [0.0])).health is Health.NEW
    assert quality.judge(np.array([0.2] * 7 + [0.0])).health is Health.BLOCKED
    assert quality.judge(np.array([])).health is Health.NEW


def test_real_days_of_2025_were_all_sound():
    market, _ = real.sample()
    shares = quality.moved_share(market)
    found = {quality.judge(shares[: last + 1]).health for last in range(30, len(shares))}
    assert found == {Health.SOUND}


def test_coverage():
    panel = plain.panel([[1, 1], [1, None], [None, None]])
    assert quality.coverage(panel) == 0.5
    assert np.isnan(quality.coverage(plain.panel([[None]])))


def test_a_score_is_the_weighted_mean_of_its_parts():
    market = plain.panel([[100, 101] * 46, [100] * 62 + [None] * 30, [None] * 92, [100] * 92])
    low = plain.panel([[90] * 92, [90] * 92, [90] * 92, [500] * 92])
    found = quality.scores(market, low, np.array([False, True, False, False]))
    np.testing.assert_allclose(found.parts["freshness"], [1, 0, np.nan, 1])
    np.testing.assert_allclose(found.parts["movement"], [1, 0, np.nan, 0])
    np.testing.assert_allclose(found.parts["coverage"], [1, 61 / 91, np.nan, 1])
    np.testing.assert_allclose(found.parts["agreement"], [1, 0.5, np.nan, 0])
    np.testing.assert_allclose(found.parts["trust"], [1, 0, np.nan, 1])
    expected = [1, 0.2 * 61 / 91 + 0.15 * 0.5, np.nan, 0.3 + 0.2 + 0.1]
    np.testing.assert_allclose(found.score, expected)


def suspects(row, lows):
    return ticks.find(plain.panel([row]), plain.panel([lows]))


@pytest.mark.parametrize(
    ("row", "lows", "suspected"),
    [
        ([200_000, 200], [190_000, 190_000], True),
        ([200_000, None, 200], [None, 190_000, None], True),
        ([300, 200], [400, 334], True),  # down by exactly 1.5, below 0.6 × 334
        ([300, 201], [400, 400], False),  # not by 1.5
        ([300, 200], [400, 333], False),  # not below 0.6 × 333
        ([300, 200], [333, 400], False),  # yesterday's ask counts too
        ([299, 199], [9999, 9999], True),
        ([298, 199], [9999, 9999], False),  # by less than a dollar
        ([200, 200_000], [190_000, 190_000], False),  # up is mostly real
        ([200_000, 200], [None, None], False),
        ([None, 200], [190, 190], False),
        ([200], [190_000], False),
    ],
)
def test_suspect_ticks(row, lows, suspected):
    assert bool(suspects(row, lows)) is suspected


@pytest.mark.parametrize(
    ("later", "verdict", "number"),
    [
        ([], Verdict.OPEN, None),
        ([200, None, 200], Verdict.OPEN, None),
        ([200_000], Verdict.CONFIRMED, 2),
        ([None, 200, 100_100], Verdict.CONFIRMED, 4),
        ([None, 200, 100_099], Verdict.CLEARED, 4),
        ([199, 200_000], Verdict.CLEARED, 2),
    ],
)
def test_later_prices_settle_it(later, verdict, number):
    suspect = Suspect(0, day(1), 200_000, 200, 190_000)
    panel = plain.panel([[200_000, 200, *later]])
    expected = (verdict, None if number is None else day(number))
    assert ticks.settle(panel, suspect) == expected


def test_a_suspicion_is_known_on_its_day_and_settled_only_by_later_ones():
    market, low = plain.panel([[9000, 90, 9000]]), plain.panel([[8000, 8000, 8000]])
    (suspect,) = ticks.find(market.as_of(day(1)), low.as_of(day(1)))
    assert suspect == Suspect(0, day(1), 9000, 90, 8000)
    assert ticks.settle(market.as_of(day(1)), suspect) == (Verdict.OPEN, None)
    assert ticks.settle(market, suspect) == (Verdict.CONFIRMED, day(2))
    assert ticks.find(market, low) == []


def test_movers_need_evidence():
    busy = [1000 + 10 * (number % 5) for number in range(39)] + [2000]
    once = [1000] * 39 + [3000]
    market = plain.panel([busy, once, busy, [None] * 40, [1000] * 39 + [500]])
    low = plain.panel([[1900] * 40, [2900] * 40, [2401] * 40, [1] * 40, [None] * 40])
    found = movers.movers(market, low, 7)
    assert found.evidence.tolist() == [True, False, False, False, False]
    assert found.top("gain", 5) == [0]
    assert found.top("gain", 5, thin=True) == [1, 2]
    assert found.top("relative_loss", 5, thin=True) == [4]
    assert found.top("gain", 5, thin=True, floor=1001) == [2]
    assert found.top("moves", 1) == [0]
    assert found.before.tolist() == [1020, 1000, 1020, 0, 1000]
    assert found.relative[4] == -0.5
    with pytest.raises(KeyError):
        found.top("volume", 1)


def test_a_price_before_may_be_a_little_older_than_the_window():
    market = plain.panel([[100, *[None] * 6, 50, 200], [*[100] * 2, *[None] * 6, 200]])
    found = movers.movers(market, market, 1)
    assert found.change.tolist() == [150, 100]
    late = plain.panel([[100, *[None] * 8, 200]])
    assert not movers.movers(late, late, 1).known.any()
    assert not movers.movers(late, late, 90).known.any()


def test_real_movers_rest_on_more_than_what_is_listed_as_thin():
    market, low = real.sample()
    found = movers.movers(market, low, 7)
    top = found.top("relative_gain", 20)
    thin = found.top("relative_gain", 20, thin=True)
    assert (found.moves[top] >= 2).all()
    assert np.median(found.moves[thin]) < np.median(found.moves[top])


@pytest.mark.parametrize(
    ("price", "fees", "net"),
    [
        ("100.00", realisable.TCGPLAYER, "86.95"),
        ("100.00", realisable.EBAY, "86.75"),
        ("0.30", realisable.TCGPLAYER, "-0.04"),
        ("0.02", realisable.TCGPLAYER, "-0.28"),
    ],
)
def test_what_a_seller_gets(price, fees, net):
    assert realisable.one(Decimal(price), fees) == Decimal(net)


FEES = st.builds(
    realisable.Fees,
    st.just("own"),
    st.lists(st.integers(0, 2500), max_size=3).map(tuple),
    st.integers(0, 1000),
)
PRICE = st.one_of(st.just(NONE), st.integers(1, 2**31 - 1))


@given(st.lists(st.tuples(PRICE, PRICE), min_size=1), FEES, st.integers(0, 2000))
def test_cents_agree_with_decimals(prices, fees, shipping):
    market, low = np.array(prices, np.int32).T
    found = realisable.realisable(market, low, fees, shipping)
    for card, pair in enumerate(prices):
        known = [price for price in pair if price != NONE]
        assert bool(found.known[card]) is bool(known)
        if known:
            expected = realisable.one(Decimal(min(known)) / 100, fees, Decimal(shipping) / 100)
            assert Decimal(int(found.net[card])) / 100 == expected
            assert found.gross[card] - found.fees[card] - shipping == found.net[card]
    assert found.total() == sum(max(int(net), 0) for net in found.net)


def test_fees_are_exact_and_sane():
    whole = realisable.Fees.of("x", (Decimal("10.25"), Decimal("2.5")), Decimal("0.30"))
    assert (whole.rates, whole.fixed) == (realisable.TCGPLAYER.rates, realisable.TCGPLAYER.fixed)
    with pytest.raises(ValueError, match="two places"):
        realisable.Fees.of("x", (Decimal("1.125"),))
    for rates, fixed in (((-1,), 0), ((10_001,), 0), ((), -1)):
        with pytest.raises(ValueError, match="100 %"):
            realisable.Fees("x", rates, fixed)
