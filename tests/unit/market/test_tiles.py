"""A month that is packed is unpacked as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from services.market.domain import tiles

_CENTS = st.one_of(
    st.sampled_from([tiles.ABSENT, -1, 0, 1, 2**31 - 1, -(2**31)]), st.integers(-2, 10**7)
)
_MONTHS = array_shapes(min_dims=2, max_dims=2, max_side=tiles.CARDS - 1)


@given(arrays(np.int32, _MONTHS, elements=_CENTS))
def test_any_month_comes_back(month):
    back = tiles.unpack(tiles.pack(month), month.shape[1])
    assert back.dtype == np.int32
    assert np.array_equal(back, month)


def test_a_month_that_hardly_moves_takes_few_bytes():
    month = np.repeat(np.arange(32, dtype=np.int32)[:, None] * 1234, 31, axis=1)
    month[5, 17:] += 50
    assert len(tiles.pack(month)) < month.nbytes // 10


@pytest.mark.parametrize(
    "harm", [lambda d: d[:-1], lambda d: d + b"x", lambda _: b"", lambda _: b"rubbish"]
)
def test_what_is_no_tile_is_refused(harm):
    data = tiles.pack(np.zeros((32, 31), np.int32))
    with pytest.raises(ValueError, match="no tile"):
        tiles.unpack(harm(data), 31)


def test_more_days_or_cards_than_a_tile_has_are_refused():
    data = tiles.pack(np.ones((32, 31), np.int32))
    for days in (30, 28):
        with pytest.raises(ValueError, match="no tile"):
            tiles.unpack(data, days)
