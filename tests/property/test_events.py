"""Properties of partitioner, order and deduplication."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.events import Partition, Record, partition_for
from libs.events.batch import Work
from libs.events.cloudevents import from_headers, to_headers
from libs.events.outbox import slots
from libs.events.record import Stored

keys = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
header_names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True).filter(
    lambda name: name != "content-type"
)
records = st.builds(
    Record,
    id=st.uuids(),
    topic=st.just("pq.test.v1"),
    partition=st.integers(0, 63),
    key=keys,
    type=st.just("pq.test.v1.Happened"),
    time=st.datetimes(
        min_value=datetime(2000, 1, 1),  # noqa: DTZ001 # bounds are naive, hypothesis adds the zone
        max_value=datetime(2100, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
    source=st.just("/pq/test"),
    payload=st.binary(max_size=200),
    headers=st.dictionaries(header_names, keys, max_size=3),
)


@given(keys, st.integers(1, 64))
def test_a_key_has_one_partition_and_it_exists(key: str, partitions: int) -> None:
    """The same wherever it is computed; pinned, for changing it would split keys."""
    assert 0 <= partition_for(key, partitions) < partitions
    assert [partition_for(f"accounts/{letter}", 16) for letter in "abc"] == [2, 8, 14]


@given(records)
def test_a_record_survives_its_headers(record: Record) -> None:
    """CloudEvents and back."""
    carried = from_headers(
        record.topic, record.partition, record.key.encode(), record.payload, to_headers(record)
    )
    assert carried == record


@given(st.lists(records, max_size=30), st.data())
def test_locks_of_two_publishers_are_taken_in_one_order(
    found: list[Record], data: st.DataObject
) -> None:
    """Whatever they publish, and in whatever order."""
    some = data.draw(st.lists(st.sampled_from(found), max_size=30)) if found else []
    both = [slots(found), slots(some)]
    common = set(both[0]) & set(both[1])
    assert [s for s in both[0] if s in common] == [s for s in both[1] if s in common]
    assert set(slots(some)) <= set(slots(found))


@given(st.sets(st.integers(0, 1000), min_size=1, max_size=50), st.integers(0, 60))
def test_a_work_cut_in_two_is_the_same_work(offsets: set[int], at: int) -> None:
    """Offsets may have gaps; the position after the first part is the second's first record."""
    base = Record(UUID(int=1), "t", 0, "k", "T", datetime(2025, 1, 1, tzinfo=UTC), "/s", b"", {})
    stored = [Stored(n, dataclasses.replace(base, id=UUID(int=n))) for n in sorted(offsets)]
    work = Work(Partition("t", 0), stored, stored[-1].offset + 1)
    head, tail = work.head(at), work.tail(at)
    assert [*head.records, *tail.records] == stored
    if at < len(stored):
        assert head.next == tail.records[0].offset
        assert tail.next == work.next
    else:
        assert head == work
