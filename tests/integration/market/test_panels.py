"""Matrices of prices: what is kept, read again, and never changed under a reader."""

from datetime import date, timedelta

import numpy as np
import pytest

from services.market.analytics.panel import NONE
from services.market.store.panels import Panels

FIRST = date(2025, 4, 1)


def day(number: int) -> str:
    return (FIRST + timedelta(days=number)).isoformat()


async def _matrix(panels, last: int, **values):
    prices = await panels.upto(1, FIRST + timedelta(days=last), **values)
    return prices.market.cents.tolist()


async def test_days_that_came_later_and_corrections_are_read_and_the_old_matrix_stays(world):
    panels = Panels(world.db)
    await world.day(day(0), {1: "1.00", 2: "2.00"})
    await world.day(day(1), {1: "1.10", 2: ""})
    before = await panels.upto(1, FIRST + timedelta(days=1))
    assert before.market.cents.tolist() == [[100, 110], [200, NONE]]
    await world.day(day(3), {1: "1.30", 3: "3.00"})
    assert await _matrix(panels, 3) == [
        [100, 110, NONE, 130],
        [200, NONE, NONE, NONE],
        [NONE, NONE, NONE, 300],
    ]
    assert await _matrix(panels, 1) == [[100, 110], [200, NONE], [NONE, NONE]]
    await world.day(day(1), {1: "9.99"})
    assert await _matrix(panels, 1) == [[100, 999], [200, NONE], [NONE, NONE]]
    assert before.market.cents.tolist() == [[100, 110], [200, NONE]]


async def test_many_days_are_read_in_one_go_and_equal_what_came_day_by_day(world):
    slow = Panels(world.db)
    for number in range(40):
        prices = {product: f"{product}.{number:02}" for product in range(1, 4 + number % 3)}
        await world.day(day(number), prices)
        last = await slow.upto(1, FIRST + timedelta(days=number))
    anew = await Panels(world.db).upto(1, FIRST + timedelta(days=39))
    assert np.array_equal(anew.market.cents, last.market.cents)
    assert np.array_equal(anew.cards, last.cards)
    assert (anew.market.first, anew.low.day_count) == (FIRST, 40)
    assert anew.row_of(int(anew.cards[2])) == 2
    assert anew.row_of(10**6) is None


async def test_a_window_moves_on_and_what_lies_before_the_first_day_is_refused(world):
    panels = Panels(world.db)
    for number in range(6):
        await world.day(day(number), {1: f"1.{number:02}"})
        await panels.upto(1, FIRST + timedelta(days=number), days=4)
    assert await _matrix(panels, 5, days=4) == [[102, 103, 104, 105]]
    assert await _matrix(panels, 4, days=4) == [[102, 103, 104]]
    assert await _matrix(panels, 1, days=4) == [[100, 101]]
    with pytest.raises(LookupError):
        await panels.upto(1, FIRST - timedelta(days=1))
    with pytest.raises(LookupError):
        await panels.upto(2, FIRST)


async def test_times_that_share_no_day_follow_each_other(world):
    panels = Panels(world.db)
    for number in (0, 1, 2, 20, 60):
        await world.day(day(number), {1: f"1.{number:02}", 2: "2.00"})

    async def read(first: int, last: int):
        found = await panels.between(1, *(FIRST + timedelta(days=n) for n in (first, last)))
        return found.market.first, found.market.cents[0].tolist()

    late = (FIRST + timedelta(days=20), [120, *[NONE] * 39, 160])
    assert await read(20, 60) == late
    assert await read(0, 2) == (FIRST, [100, 101, 102])
    assert await read(19, 60) == late
    with pytest.raises(LookupError):
        await read(3, 19)
