"""From where the relay looks for unsent rows."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.low_water import LowWater
from libs.testing.clock import START


def test_without_open_publishers_it_is_what_was_sent() -> None:
    """Nothing below can come any more."""
    low = LowWater()
    low.sent(10)
    assert low.behind
    low.advance(START, None)
    low.sent(0)
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
    low.sent(0)
    assert low.mark == 10
    low.advance(START + 3 * second, START + 2 * second)
    low.sent(0)
    assert low.mark == 20


def test_a_publisher_that_ends_between_a_read_and_the_look_is_not_passed() -> None:
    """Nobody publishes any more, and yet its row was not read: the next read finds it."""
    low = LowWater()
    low.sent(6)  # row 1 was not committed when this was read
    low.advance(START, None)
    assert low.mark == 0
    low.sent(1)
    assert low.mark == 1
    low.sent(0)
    assert low.mark == 6


_STEPS = st.lists(
    st.sampled_from(["write 0", "write 1", "commit 0", "commit 1", "read", "look"]),
    min_size=20,
    max_size=80,
)


@settings(max_examples=300)
@given(steps=_STEPS)
def test_whatever_the_order_no_row_below_the_mark_is_left(steps: list[str]) -> None:
    """Publishers begin, take ids as they write, and show them when they commit; the relay reads
    from its mark, two at a time, and looks who is open."""
    low, open_ones = LowWater(), dict[str, tuple[datetime, set[int]]]()
    ids, visible, sent = itertools.count(1), set[int](), set[int]()
    for number, step in enumerate(steps):
        now = START + timedelta(seconds=number)
        what, _, who = step.partition(" ")
        if what == "write":
            open_ones.setdefault(who, (now, set()))[1].add(next(ids))
        elif what == "commit" and who in open_ones:
            visible |= open_ones.pop(who)[1]
        elif what == "read":
            left = sorted(visible - sent)
            assert all(id > low.mark for id in left), "a row below the mark is lost"
            sent |= set(left[:2])
            low.sent(left[:2][-1] if left else 0)
        elif what == "look" and low.behind:
            low.advance(now, min((began for began, _ in open_ones.values()), default=None))
