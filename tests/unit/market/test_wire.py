"""Rows in PostgreSQL's binary form, there and back, in whatever pieces they come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.market.store import wire

NUMBERS = st.integers(-(2**31), 2**31 - 1)


@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=40), st.integers(1, 200), st.booleans()
)
def test_rows_are_what_was_written(rows, piece, at_once):
    columns = [np.array([row[place] for row in rows], np.int32) for place in range(3)]
    data = wire.encode([(column, None) for column in columns])
    reader = wire.Rows(3)
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
        if at_once:
            reader._decode()
    assert [column.tolist() for column in reader.columns()] == [c.tolist() for c in columns]


def test_rows_that_break_off_are_told():
    data = wire.encode([(np.arange(9, dtype=np.int32), None)])
    for end in (0, 5, len(data) - 1, len(data) - 3, 40):
        reader = wire.Rows(1)
        reader.feed(data[:end])
        with pytest.raises(ValueError, match="broke off"):
            reader.columns()
