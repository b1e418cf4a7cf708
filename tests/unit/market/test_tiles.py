"""Tiles that are packed are unpacked as they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.market.domain import tiles

_CENTS = st.one_of(
    st.sampled_from([tiles.ABSENT, -1, 0, 1, 2**31 - 1, -(2**31)]), st.integers(-2, 10**7)
)
_SHAPES = st.tuples(st.integers(0, 3), st.just(tiles.CARDS), st.integers(1, 31))


@given(_SHAPES.flatmap(lambda shape: arrays(np.int32, shape, elements=_CENTS)))
def test_any_tiles_come_back(cells):
    back = tiles.unpack(tiles.pack(cells), cells.shape[2])
    assert back.dtype == np.int32
    assert np.array_equal(back, cells)


def test_a_month_that_hardly_moves_takes_few_bytes():
    cells = np.repeat(np.arange(32, dtype=np.int32)[None, :, None] * 1234, 31, axis=2)
    cells[0, 5, 17:] += 50
    assert len(tiles.pack(cells)[0]) < cells.nbytes // 10


@pytest.mark.parametrize(
    "harm", [lambda d: d[:-1], lambda d: d + b"x", lambda _: b"", lambda _: b"rubbish"]
)
def test_what_is_no_tile_is_refused(harm):
    [data] = tiles.pack(np.zeros((1, 32, 31), np.int32))
    with pytest.raises(ValueError, match="no tile"):
        tiles.unpack([harm(data)], 31)


@pytest.mark.parametrize("days", [28, 30, 31])
def test_tiles_of_other_months_are_refused(days):
    data = tiles.pack(np.ones((1, 32, 29), np.int32))
    with pytest.raises(ValueError, match="no tile"):
        tiles.unpack(data, days)
