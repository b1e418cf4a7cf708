"""A month of 32 cards in few bytes: what a sealed month is made of.

Prices hardly move, so each day is kept as the difference from the day before; the four bytes of the
differences stand in planes, three of which are nearly all zero.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

# cards × days of cents; money.NONE where the quote has no such price, ABSENT where there is none.
Month = npt.NDArray[np.int32]

CARDS = 32
ABSENT = -2
_CENTS = np.dtype("<i4")


def pack(month: Month) -> bytes:
    """One field of a tile; the inverse of `unpack`."""
    # Differences wrap around, and so do their sums.
    steps = np.diff(month.astype(_CENTS), axis=1, prepend=_CENTS.type(0)).astype(_CENTS)
    planes = steps.view(np.uint8).reshape(-1, _CENTS.itemsize).T
    return zlib.compress(planes.tobytes(), 1)


def unpack(data: bytes, days: int) -> Month:
    """cards × `days`. Raises ValueError for what is no tile of so many days."""
    size = CARDS * days * _CENTS.itemsize
    opened = zlib.decompressobj()
    try:
        plain = opened.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"no tile: {error}") from None
    each = days * _CENTS.itemsize
    if not opened.eof or opened.unused_data or len(plain) > size or len(plain) % each:
        raise ValueError(f"{len(data)} bytes are no tile of {days} days")
    planes = np.frombuffer(plain, np.uint8).reshape(_CENTS.itemsize, -1)
    steps = np.ascontiguousarray(planes.T).view(_CENTS).reshape(-1, days)
    return np.cumsum(steps, axis=1, dtype=np.int32)
