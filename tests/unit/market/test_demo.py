"""The demo market: the same in every run, and like a real one in what matters."""

from datetime import date, timedelta

import numpy as np
import pytest

from services.market import demo
from services.market.domain import catalog, money, prices

LAST = date(2025, 6, 1)


@pytest.fixture(scope="module")
def market():
    made = list(demo.files(LAST))
    read = [prices.parse(file.data, day=file.day, latest=LAST, max_rows=1000) for file in made[1:]]
    return made, read


def test_it_is_the_same_in_every_run(market):
    assert list(demo.files(LAST)) == market[0]
    assert list(demo.files(LAST, seed=1)) != market[0]


def test_it_is_written_where_asked(market, tmp_path):
    demo.main([str(tmp_path), str(LAST)])
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {file.name: file.data for file in market[0]}


def test_every_row_of_it_is_good(market):
    made, read = market
    assert not any(day.faults for day in read)
    named = catalog.parse(made[0].data, max_rows=1000)
    assert not named.faults
    assert {key[1] for day in read for key in day.keys} <= set(named.columns[4])
    assert [day.day for day in read] == [
        LAST - timedelta(days=back) for back in reversed(range(demo.DAYS))
    ]


def test_it_behaves_as_markets_do(market):
    _, read = market
    series = {}
    for step, day in enumerate(read):
        for key, cents in zip(day.keys, day.cents[:, prices.MARKET].tolist(), strict=True):
            series.setdefault(key, {})[step] = cents
    assert 300 <= len(series) <= 500
    pairs = [
        (one[step], one[step + 1]) for one in series.values() for step in one if step + 1 in one
    ]
    both = np.array([pair for pair in pairs if money.NONE not in pair])
    missing = np.mean([now == money.NONE for _, now in pairs])
    still = np.mean(both[:, 0] == both[:, 1])
    assert 0.05 < missing < 0.15
    assert 0.8 < still < 0.93
    assert any(min(one) > 0 for one in series.values())  # some enter late
    assert any(max(one) < demo.DAYS - 1 for one in series.values())  # some leave
    moved = [np.mean(np.array(day.cents[:, 0]) != money.NONE) for day in read]
    assert min(moved) > 0.8
