"""When it is time, in time zones whose clocks change."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.market.domain.schedule import schedule


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "last", "next_"),
    [
        ("a=21:30@UTC", "2025-06-01T21:30", "2025-06-01T21:30", "2025-06-02T21:30"),
        ("a=21:30@UTC", "2025-06-01T21:29", "2025-05-31T21:30", "2025-06-01T21:30"),
        ("a=21:30@America/New_York", "2025-03-09T12:00", "2025-03-09T02:30", "2025-03-10T01:30"),
        # 02:30 does not exist on the 9th of March in New York, and comes once at 03:30.
        ("a=02:30@America/New_York", "2025-03-09T12:00", "2025-03-09T07:30", "2025-03-10T06:30"),
        # 01:30 comes twice on the 2nd of November.
        ("a=01:30@America/New_York", "2025-11-02T05:40", "2025-11-02T05:30", "2025-11-03T06:30"),
    ],
)
def test_due_times(text, now, last, next_):
    [daily] = schedule(text)
    assert daily.last(at(now)) == at(last)
    assert daily.next(at(now)) == at(next_)


@given(
    st.integers(946_684_800, 2_208_988_800),
    st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe"]),
    st.integers(0, 23),
)
def test_it_is_due_about_once_a_day(now, zone, hour):
    now = datetime.fromtimestamp(now, UTC)
    [daily] = schedule(f"a={hour:02}:15@{zone}")
    last, following = daily.last(now), daily.next(now)
    assert last <= now < following
    assert timedelta(hours=22) <= following - last <= timedelta(hours=26)


@pytest.mark.parametrize("text", ["a", "a=25:00@UTC", "a=21:30", "a=21:30@Mars", "a=1:00@UTC"])
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|no time zone"):
        schedule(text)


def test_nothing_is_scheduled_by_default():
    assert schedule("") == ()
