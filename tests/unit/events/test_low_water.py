"""From where the relay looks for unsent rows."""

from __future__ import annotations

from datetime import timedelta

from libs.events.low_water import LowWater
from libs.testing.clock import START


def test_without_open_publishers_it_is_what_was_sent() -> None:
    """Nothing below can come any more."""
    low = LowWater()
    low.sent(10)
    assert low.behind
    low.advance(START, None)
    assert low.mark == 10
    assert not low.behind


def test_it_waits_for_a_publisher_that_began_before_what_was_sent() -> None:
    """Its rows may have lower ids, and the next of its key higher ones."""
    low, second = LowWater(), timedelta(seconds=1)
    low.sent(10)
    low.advance(START, START - second)
    assert low.mark == 0
    low.sent(20)
    low.advance(START + second, START - second)
    assert low.mark == 0
    # The oldest is now one that began after 10 was sent, and before 20 was.
    low.advance(START + 2 * second, START + second / 2)
    assert low.mark == 10
    low.advance(START + 3 * second, START + 2 * second)
    assert low.mark == 20
