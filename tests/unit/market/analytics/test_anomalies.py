"""Anomalies against the rule written down plainly."""

import itertools
import math
import statistics
from datetime import timedelta

import numpy as np
import pytest

from services.market.analytics import anomalies
from services.market.analytics.anomalies import AnomalyRule, Kind
from services.market.analytics.panel import NONE, Panel
from tests.unit.market.analytics import plain

RULE = AnomalyRule(least_band=5, edges=(1000,), least_score=0.05)


def moves(row, end, window):
    """(price before, log return) of the moves in the window that ends before column `end`."""
    seen = [(day, value) for day, value in enumerate(row[:end]) if value != NONE]
    seen = [(day, value) for day, value in seen if day >= end - 1 - window]
    pairs = itertools.pairwise(value for _, value in seen)
    return [(a, math.log(b) - math.log(a)) for a, b in pairs if a != b]


def plainly(rows, rule):
    """(card, score) of the last day, largest first."""
    end = len(rows[0]) - 1
    every = [move for row in rows for move in moves(row, end, rule.band_days)]
    found = []
    for card, row in enumerate(rows):
        known = [value for value in row[:end] if value != NONE]
        if not known or row[end] == NONE or abs(row[end] - known[-1]) < rule.least_cents:
            continue
        upper = known[-1] >= rule.edges[0]
        band = [abs(r) for price, r in every if (price >= rule.edges[0]) is upper]
        band = band if len(band) >= rule.least_band else [abs(r) for _, r in every]
        own = [abs(r) for _, r in moves(row, end, rule.own_days)]
        trust = len(own) / (len(own) + rule.half_trust)
        middle = statistics.median(band)
        typical = trust * (statistics.median(own) if own else 0) + (1 - trust) * middle
        limit = typical * float(np.quantile(band, rule.tail)) / middle
        score = abs(math.log(row[end] / known[-1])) / limit
        if score >= rule.least_score:
            found.append((card, score))
    return sorted(found, key=lambda pair: -pair[1])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_are_the_rule(seed):
    cents = plain.walks(seed, 24, 200)
    found = anomalies.find(Panel.load(plain.FIRST, cents), rule=RULE)
    expected = plainly(cents.tolist(), RULE)
    assert expected
    assert [anomaly.card for anomaly in found] == [card for card, _ in expected]
    np.testing.assert_allclose([a.score for a in found], [score for _, score in expected])


def world(last):
    """Forty cards that move by 1 to 4 % now and then, and what they do on the last day."""
    random = np.random.default_rng(9)
    steps = random.choice([0, 0, 0, 0.01, -0.01, 0.04, -0.04], (40, 130))
    cents = np.rint(5000 * np.exp(np.cumsum(steps, axis=1))).astype(np.int32)
    cents[0] = 5000
    cents[:, -1] = cents[:, -2]
    cents[0, -1], cents[1, -1] = 5000 + last, cents[1, -2] + last
    return Panel.load(plain.FIRST, cents)


def test_repriced_and_thin_are_told_apart():
    thin, repriced = sorted(anomalies.find(world(2000)), key=lambda anomaly: anomaly.card)
    assert (thin.card, thin.kind, thin.moves) == (0, Kind.THIN, 0)
    assert (repriced.card, repriced.kind) == (1, Kind.REPRICED)
    assert repriced.day == plain.FIRST + timedelta(days=129)
    assert "+40.0% from 50.00 to 70.00" in thin.explanation()
    assert "0 moves in the 90 days before" in thin.explanation()
    assert anomalies.kind_of(5) is anomalies.kind_of(14) is Kind.MOVING


def test_small_change_is_none():
    assert anomalies.find(world(0)) == []
    assert anomalies.find(world(99), rule=AnomalyRule(least_score=0)) == []
    assert len(anomalies.find(world(100), rule=AnomalyRule(least_score=0))) == 2


def test_once_in_a_fortnight():
    latest = np.full(40, -1, np.int64)
    latest[0], latest[1] = 13, 14
    assert [anomaly.card for anomaly in anomalies.find(world(2000), latest)] == [1]


def test_the_day_itself_does_not_say_what_is_usual():
    one, other = (anomalies.typical(world(last)) for last in (0, 2000))
    np.testing.assert_array_equal(one.limit, other.limit)


def test_without_any_past_move_there_is_nothing_to_measure_by():
    assert anomalies.find(plain.panel([[100, 900]])) == []
    assert anomalies.find(plain.panel([[100]])) == []
