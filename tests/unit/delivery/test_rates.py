"""Rate limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.delivery.domain.rates import Bucket

NOW = datetime(2025, 6, 1, tzinfo=UTC)


def test_a_bucket_holds_a_second_and_at_least_one():
    assert Bucket.full(10.0, NOW).whole == 10
    slow = Bucket.full(0.1, NOW)
    assert slow.whole == 1
    empty = slow.take(1)
    assert empty.whole == 0
    assert empty.next_time == NOW + timedelta(seconds=10)
    assert empty.at(empty.next_time).whole == 1


@given(st.floats(0.05, 500), st.lists(st.tuples(st.floats(0, 5), st.integers(0, 600)), max_size=50))
def test_over_any_time_no_more_is_taken_than_the_rate_and_what_was_saved(rate, steps):
    bucket, now, taken = Bucket.full(rate, NOW), NOW, 0
    for seconds, wanted in steps:
        now += timedelta(seconds=seconds)
        bucket = bucket.at(now)
        count = min(wanted, bucket.whole)
        bucket, taken = bucket.take(count), taken + count
        lasted = (now - NOW).total_seconds()
        assert taken <= rate * lasted + max(1.0, rate) + 1e-6
        if bucket.whole == 0:
            assert bucket.at(bucket.next_time).whole >= 1
