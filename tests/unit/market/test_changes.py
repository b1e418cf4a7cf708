"""Changes: what moved, how batches are cut, how versions differ."""

from datetime import date as DAY  # noqa: N812 # a constructor here

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.market.domain import changes
from services.market.domain.changes import Known
from services.market.domain.imports import Mode, mode_of
from services.market.store import wire


@given(st.lists(st.tuples(st.integers(0, 63), st.booleans()), max_size=300))
def test_batches_hold_every_row_once_in_order(rows):
    shards = np.array([shard for shard, _ in rows], np.int32)
    newest = np.array([flag for _, flag in rows], np.bool_)
    seen = []
    for batch in changes.batches(shards, newest):
        assert 0 < len(batch.rows) <= changes.MAX_BATCH
        assert {(batch.shard, batch.newest)} == {rows[row] for row in batch.rows.tolist()}
        assert batch.rows.tolist() == sorted(batch.rows.tolist())
        seen += batch.rows.tolist()
    assert sorted(seen) == list(range(len(rows)))


def test_a_large_shard_is_cut():
    count = 2500
    cut = list(changes.batches(np.zeros(count, np.int32), np.ones(count, np.bool_)))
    assert [len(batch.rows) for batch in cut] == [1000, 1000, 500]


VERSIONS = st.dictionaries(st.integers(1, 30), st.integers(-1, 3), max_size=20)


@given(VERSIONS, VERSIONS)
def test_versions_are_compared_card_by_card(old, new):
    def arrays(version):
        cards = np.array(list(version), np.int32)
        return cards, np.array([[value] * 5 for value in version.values()], np.int32).reshape(-1, 5)

    (old_cards, old_cents), (new_cards, new_cents) = arrays(old), arrays(new)
    diff = changes.compare(old_cards, old_cents, new_cards, new_cents)
    assert set(new_cards[diff.added].tolist()) == new.keys() - old.keys()
    assert set(old_cards[diff.removed].tolist()) == old.keys() - new.keys()
    differing = {card for card in old.keys() & new.keys() if old[card] != new[card]}
    assert set(new_cards[diff.changed].tolist()) == differing
    assert old_cards[diff.was].tolist() == new_cards[diff.changed].tolist()


def test_first_and_different_prices_moved_and_missing_ones_did_not():
    previous = Known(np.array([1, 1, changes.NO_DAY, 1], np.int32), np.array([5, 5, -1, 5]))
    assert changes.moved(np.array([5, 6, 7, -1], np.int32), previous).tolist() == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("day", "published", "newest", "backfill", "mode"),
    [
        (2, False, None, False, Mode.LIVE),
        (2, False, 1, False, Mode.LIVE),
        (2, False, 3, False, Mode.BACKFILL),
        (2, False, 1, True, Mode.BACKFILL),
        (2, True, 2, False, Mode.CORRECTION),
        (2, True, 3, True, Mode.CORRECTION),
    ],
)
def test_what_a_day_is(day, published, newest, backfill, mode):
    newest_day = newest and DAY(2025, 1, newest)
    assert (
        mode_of(DAY(2025, 1, day), published=published, newest=newest_day, backfill=backfill)
        is mode
    )


def test_copy_data_is_the_documented_format():
    data = wire.encode(
        [
            (np.array([7, -1], np.int32), np.array([False, True])),
            (np.array([1, 2], np.int16), None),
        ]
    )
    header = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    first = b"\0\2" + b"\0\0\0\4\0\0\0\7" + b"\0\0\0\2\0\1"
    second = b"\0\2" + b"\xff\xff\xff\xff" + b"\0\0\0\2\0\2"
    assert data == header + first + second + b"\xff\xff"


@given(st.dates(DAY(1990, 1, 1), DAY(2100, 1, 1)))
def test_days_are_counted_as_postgresql_does(day):
    assert wire.day_of(wire.day_number(day)) == day
    assert wire.day_number(DAY(2000, 1, 1)) == 0
