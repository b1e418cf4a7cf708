"""Ids: time-ordered UUIDs inside, prefixed by kind outside.

New ids are UUIDs of version 7 (RFC 9562 §5.7). Ids derived from others are of version 8 (§5.8): the
parent's time, and a digest in place of the random bits, so that the same work done twice makes the
same ids, in the same place of an index.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from uuid import UUID

from libs import entropy
from libs.clock import Clock
from libs.errors import invalid

# Crockford's base 32, in lower case: no i, l, o or u.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26
# Two letters at a time, and into the digits that int() reads: ids are shown and read all the time.
_PAIRS = tuple(high + low for high in ALPHABET for low in ALPHABET)
_DIGITS = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_LETTERS = frozenset(ALPHABET)
_VARIANT = 0b10 << 62


class Ids:
    """Makes ids; in one process each is greater than the one before."""

    def __init__(self, clock: Clock, random: Callable[[int], bytes] = entropy.shared) -> None:
        self._clock = clock
        self._random = random
        self._last = 0
        self._lock = threading.Lock()

    def uuid(self) -> UUID:
        """A new UUID of version 7; its 12 bits after the version count within a millisecond."""
        millis = int(self._clock.now().timestamp() * 1000)
        tail = int.from_bytes(self._random(8)) & ((1 << 62) - 1)
        with self._lock:
            # Time and count are one number, so that a full count runs over into the time.
            self._last = head = max(millis << 12, self._last + 1)
        millis, count = head >> 12, head & 0xFFF
        return UUID(int=millis << 80 | 7 << 76 | count << 64 | _VARIANT | tail)


def derive(parent: UUID, *names: str) -> UUID:
    """The id that follows from `parent` and `names`: always the same, at the parent's time."""
    digest = sha256(parent.bytes)
    for name in names:
        data = name.encode()
        digest.update(len(data).to_bytes(4))
        digest.update(data)
    body = int.from_bytes(digest.digest()[:10])
    tail = body & ((1 << 62) - 1)
    return UUID(
        int=(parent.int >> 80) << 80 | 8 << 76 | (body >> 62 & 0xFFF) << 64 | _VARIANT | tail
    )


def encode(prefix: str, value: UUID) -> str:
    """The public form, such as "alr_01jc2v…": the prefix, and 26 letters and digits."""
    number, pairs = value.int, _PAIRS
    high, low = number >> 70, number & (1 << 70) - 1
    return (
        f"{prefix}_{pairs[high >> 50]}{pairs[high >> 40 & 1023]}{pairs[high >> 30 & 1023]}"
        f"{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}{pairs[high & 1023]}"
        f"{pairs[low >> 60]}{pairs[low >> 50 & 1023]}{pairs[low >> 40 & 1023]}"
        f"{pairs[low >> 30 & 1023]}{pairs[low >> 20 & 1023]}{pairs[low >> 10 & 1023]}"
        f"{pairs[low & 1023]}"
    )


def decode(prefix: str, text: str, *, field: str = "name") -> UUID:
    """The inverse of `encode`. Raises AppError (INVALID) that names `field`."""
    head, separator, body = text.partition("_")
    if not separator or head != prefix:
        kind = f"an id that starts with {prefix}_"
        raise invalid(
            field, f"expected {kind}, such as {prefix}_01…; got {text[:60]!r}", "wrong_id_kind"
        )
    if len(body) == LENGTH and _LETTERS.issuperset(body):
        number = int(body.translate(_DIGITS), 32)
        if number >> 128 == 0:
            return UUID(int=number)
    raise invalid(
        field,
        f"expected {prefix}_ and {LENGTH} letters and digits; got {text[:60]!r}",
        "malformed_id",
    )
