"""Signals and quality of many cards in few bytes: float32 values and reasons, packed together."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Values = npt.NDArray[np.float32]
Reasons = npt.NDArray[np.uint8]

SIZE = 512
_CARD = np.dtype("<i4")
_VALUE = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Block:
    """Cards (ascending numbers), values (names × cards, NaN where unknown) and reasons (the first
    names × cards, as many as there are reasons for)."""

    cards: Ints
    values: Values
    reasons: Reasons

    def pack(self) -> bytes:
        """The inverse of `unpack`."""
        parts = (self.cards.astype(_CARD), self.values.astype(_VALUE), self.reasons)
        return zlib.compress(b"".join(part.tobytes() for part in parts), 1)


def unpack(data: bytes, names: int, reasoned: int) -> Block:
    """A block of so many names, of which so many have reasons. Raises ValueError for other data."""
    plain = zlib.decompress(data)
    each = _CARD.itemsize + names * _VALUE.itemsize + reasoned
    count, rest = divmod(len(plain), each)
    if rest:
        raise ValueError(f"{len(plain)} bytes are no block of {names} values a card")
    end = count * _CARD.itemsize
    stop = end + count * names * _VALUE.itemsize
    return Block(
        np.frombuffer(plain[:end], _CARD).astype(np.int32),
        np.frombuffer(plain[end:stop], _VALUE).reshape(names, count),
        np.frombuffer(plain[stop:], np.uint8).reshape(reasoned, count),
    )


def cut(cards: Ints, values: Values, reasons: Reasons, size: int = SIZE) -> Iterator[Block]:
    """Blocks of at most `size` cards, in order."""
    for start in range(0, len(cards), size):
        part = slice(start, start + size)
        yield Block(cards[part], values[:, part], reasons[:, part])


def join(blocks: Sequence[Block]) -> Block:
    """One block of all; there is one at least."""
    return Block(
        np.concatenate([block.cards for block in blocks]),
        np.concatenate([block.values for block in blocks], axis=1),
        np.concatenate([block.reasons for block in blocks], axis=1),
    )
