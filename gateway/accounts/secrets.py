"""The form of a token's secret: pq_<kind>_<32 random characters><7 of a checksum>.

The prefix lets scanners find one that leaked; the checksum lets us tell a mistyped one from an
unknown one without asking the database.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable
from hashlib import sha256

from libs.ids import ALPHABET

ACCOUNT = "acc"
OPERATOR = "op"
HINT_LENGTH = 12
_FORM = re.compile(rf"(pq_(?:{ACCOUNT}|{OPERATOR})_[{ALPHABET}]{{32}})([{ALPHABET}]{{7}})")


def mint(kind: str, random: Callable[[int], bytes] = os.urandom) -> str:
    """A new secret of kind ACCOUNT or OPERATOR, with 160 random bits."""
    body = f"pq_{kind}_{_letters(int.from_bytes(random(20)), 32)}"
    return body + _checksum(body)


def is_wellformed(secret: str) -> bool:
    """Whether it can be one of ours: its form and its checksum."""
    match = _FORM.fullmatch(secret)
    return match is not None and match[2] == _checksum(match[1])


def digest(secret: str) -> bytes:
    """What is kept of it. With 160 random bits inside, a plain digest cannot be searched."""
    return sha256(secret.encode()).digest()


def hint(secret: str) -> str:
    """Enough to tell tokens apart, and far too little to guess one."""
    return secret[:HINT_LENGTH]


def _checksum(body: str) -> str:
    return _letters(zlib.crc32(body.encode()), 7)


def _letters(number: int, count: int) -> str:
    return "".join(ALPHABET[number >> 5 * at & 31] for at in reversed(range(count)))
