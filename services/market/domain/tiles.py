"""A month of 32 neighbouring cards in few bytes: what a closed month is made of.

Prices hardly move, so each day is kept as the difference from the day before; the four bytes of the
differences stand in planes, three of which are nearly all zero.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# tiles × CARDS × days of cents; money.NONE where the quote has no such price, ABSENT where there is
# no quote.
Cells = npt.NDArray[np.int32]

CARDS = 32
ABSENT = -2
_CENTS = np.dtype("<i4")


def pack(cells: Cells) -> list[bytes]:
    """One field of tiles, a piece each; the inverse of `unpack`."""
    count, each = len(cells), CARDS * cells.shape[2]
    # Differences wrap around, and so do their sums.
    steps = np.diff(cells.astype(_CENTS), axis=2, prepend=_CENTS.type(0)).astype(_CENTS)
    planes = steps.view(np.uint8).reshape(count, each, _CENTS.itemsize).transpose(0, 2, 1)
    return [zlib.compress(tile.tobytes(), 1) for tile in planes]


def unpack(tiles: Sequence[bytes], days: int) -> Cells:
    """Tiles of so many days. Raises ValueError for what is none."""
    each = CARDS * days
    size = each * _CENTS.itemsize
    plain = b"".join([_opened(tile, size) for tile in tiles])
    planes = np.frombuffer(plain, np.uint8).reshape(len(tiles), _CENTS.itemsize, each)
    steps = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(_CENTS)
    return np.cumsum(steps.reshape(len(tiles), CARDS, days), axis=2, dtype=np.int32)


def _opened(data: bytes, size: int) -> bytes:
    opened = zlib.decompressobj()
    try:
        plain = opened.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"no tile: {error}") from None
    if not opened.eof or opened.unused_data or len(plain) != size:
        raise ValueError(f"{len(data)} bytes are no tile of {size} bytes")
    return plain
