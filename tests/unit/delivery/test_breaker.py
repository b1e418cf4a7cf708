"""The circuit breaker, in simulated time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.domain.breaker import (
    Answers,
    Breaker,
    BreakerPolicy,
    BreakerState,
    Transition,
    admit,
    observe,
)

POLICY = BreakerPolicy()
CLOSED, OPEN, HALF_OPEN = BreakerState


@dataclass
class Story:
    """A breaker, and the time."""

    policy: BreakerPolicy = POLICY
    now: datetime = datetime(2025, 6, 1, tzinfo=UTC)
    breaker: Breaker = field(default_factory=Breaker)
    transitions: list[Transition] = field(default_factory=list)
    busy_until: datetime | None = None

    def after(self, seconds: float, **answers) -> Story:
        self.now += timedelta(seconds=seconds)
        seen = observe(self.breaker, self.policy, self.now, Answers(**answers))
        self.breaker, self.busy_until = seen.breaker, seen.busy_until
        if seen.transition:
            self.transitions.append(seen.transition)
        return self

    def admits(self, after: float = 0.0, under_way: int = 0) -> int | None:
        self.now += timedelta(seconds=after)
        self.breaker, room = admit(self.breaker, self.policy, self.now, under_way)
        return room

    @property
    def open_for(self) -> float:
        return (self.breaker.until - self.now).total_seconds()


def opened() -> Story:
    return Story().after(0, failures=10)


def test_it_opens_at_the_share_and_not_before_the_minimum():
    story = Story().after(0, failures=9)
    assert (story.breaker.state, story.admits()) == (CLOSED, None)
    story.after(1, failures=1)
    assert (story.breaker.state, story.admits(), story.open_for) == (OPEN, 0, 30)
    story = Story().after(0, failures=9, successes=10)
    assert story.breaker.state is CLOSED
    assert story.after(0, failures=1).breaker.state is OPEN


def test_what_is_older_than_the_window_counts_no_more():
    story = Story()
    for _ in range(10):
        story.after(11, failures=1)  # never ten within a minute
    assert story.breaker.state is CLOSED
    assert len(story.breaker.recent) <= 6


def test_successes_long_ago_do_not_hide_an_outage():
    story = Story().after(0, failures=1, successes=100_000).after(61, failures=10)
    assert story.breaker.state is OPEN


def test_half_open_lets_a_few_through_and_they_close_it():
    story = opened()
    assert story.admits(29.9) == 0
    assert story.admits(0.2) == 3
    assert (story.breaker.state, story.admits(under_way=2), story.admits(under_way=5)) == (
        HALF_OPEN,
        1,
        0,
    )
    story.after(0, probe_successes=2)
    assert story.breaker.state is HALF_OPEN
    story.after(0, probe_successes=1)
    assert (story.breaker.state, story.admits()) == (CLOSED, None)
    assert story.transitions == ["open", "close"]


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_cap():
    story, lasts = opened(), []
    for _ in range(8):
        lasts.append(story.open_for)
        story.admits(story.open_for)
        story.after(0, probe_failures=1, probe_successes=2)
    assert lasts == [30, 60, 120, 240, 480, 900, 900, 900]
    assert story.transitions == ["open", *["reopen"] * 8]


def test_the_other_probes_of_a_failed_round_do_not_open_it_further():
    story = opened()
    story.admits(30)
    story.after(0, probe_failures=1).after(1, probe_failures=1).after(1, probe_failures=1)
    assert (story.transitions, story.open_for) == (["open", "reopen"], 58)


def test_what_was_asked_before_it_opened_decides_nothing():
    story = opened()
    before = story.breaker
    story.after(1, failures=20)
    assert story.breaker == before
    story.admits(40)
    story.after(0, failures=5, successes=5)
    assert (story.breaker.state, story.breaker.probed) == (HALF_OPEN, 0)


def test_closing_is_not_yet_trusted_but_calm_is():
    story = opened()
    story.admits(30)
    story.after(0, probe_successes=3).after(100, failures=10)
    assert story.open_for == 60
    story.admits(60)
    story.after(0, probe_successes=3).after(601, failures=10)
    assert story.open_for == 30


def test_who_has_recovered_is_forgotten():
    story = Story().after(0, failures=1)
    assert not story.breaker.is_forgettable
    story.after(61, successes=1)
    assert story.breaker.is_forgettable
    story = opened()
    story.admits(30)
    story.after(0, probe_successes=3).after(10, successes=1)
    assert not story.breaker.is_forgettable
    assert story.after(600, successes=1).breaker.is_forgettable


def test_busy_slows_down_and_opens_nothing():
    story, waits = Story(), []
    for _ in range(8):
        story.after(0, busy=100)
        waits.append((story.busy_until - story.now).total_seconds())
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (story.breaker.state, story.transitions) == (CLOSED, [])
    story.after(1, successes=1)
    assert story.breaker.busy == 0


def test_a_receiver_that_is_busy_for_some_is_not_left_alone_unless_it_asks():
    story = Story()
    for _ in range(30):
        story.after(1, busy=1)
        assert story.busy_until is None
        story.after(1, busy=7, successes=9)
        assert (story.busy_until, story.breaker.busy) == (None, 0)
        story.after(1, busy=9)
        assert story.busy_until is None
        story.after(1, successes=1)
    story.after(0, busy=1, successes=9, asked=30)
    assert story.busy_until == story.now + timedelta(seconds=30)
    story.after(0, busy=12, successes=4)
    assert story.busy_until == story.now + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("busy", "asked", "got"),
    [(9, None, 0), (10, None, 1), (10, 0.0, 1), (1, 90.0, 90), (1, 1e9, 3600)],
)
def test_how_long_a_busy_receiver_is_left_alone(busy, asked, got):
    story = Story().after(0, busy=busy, asked=asked)
    assert ((story.busy_until or story.now) - story.now).total_seconds() == got


def test_a_busy_probe_neither_closes_nor_opens():
    story = opened()
    story.admits(30)
    story.after(0, busy=1, asked=5)
    assert (story.breaker.state, story.busy_until > story.now) == (HALF_OPEN, True)


def test_it_knows_since_when_nothing_arrived():
    story = Story().after(0, successes=5)
    assert story.breaker.failing_since is None
    first = story.after(1, failures=1).now
    story.after(86400, failures=1).after(86400, busy=1)
    assert story.breaker.failing_since == first
    assert story.after(1, successes=1, failures=5).breaker.failing_since is None


_ANSWERS = st.builds(
    Answers,
    successes=st.integers(0, 30),
    failures=st.integers(0, 30),
    busy=st.integers(0, 3),
    probe_successes=st.integers(0, 3),
    probe_failures=st.integers(0, 3),
)


@given(st.lists(st.tuples(st.floats(0, 2000), _ANSWERS, st.integers(0, 5)), max_size=40))
def test_in_every_story(steps):
    """Never more than the probes under way while half-open; open only with an end within the cap;
    transitions alternate as their names say."""
    story = Story()
    for seconds, answers, under_way in steps:
        story.now += timedelta(seconds=seconds)
        was = story.breaker.state
        seen = observe(story.breaker, POLICY, story.now, answers)
        story.breaker = seen.breaker
        state = seen.breaker.state
        assert (seen.transition is Transition.OPEN) == (was is CLOSED and state is OPEN)
        assert (seen.transition is Transition.CLOSE) == (was is not CLOSED and state is CLOSED)
        assert (state is OPEN) == (seen.breaker.until is not None)
        if state is OPEN:
            assert story.open_for <= POLICY.longest
        room = story.admits(under_way=under_way)
        assert room is None or 0 <= room <= max(0, POLICY.probes - under_way)
        assert len(story.breaker.recent) <= 7
