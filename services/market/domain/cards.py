"""What a card is: one product in one printing, and the id that follows from them."""

from __future__ import annotations

import re
import unicodedata
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from services.market.domain.faults import FieldError

SHARDS = 64
# A card's id as it stands in names and URLs.
ID = re.compile(r"[a-z0-9-]{1,40}-[1-9][0-9]{0,11}-[a-z0-9]+(?:-[a-z0-9]+)*")
MAX_ID = 120

_CATEGORY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_PRODUCT = re.compile(r"[1-9][0-9]{0,11}")
_OTHERS = re.compile(r"[^a-z0-9]+")


# What makes a card, as it stands in a price file: category, product, printing.
CardKey: TypeAlias = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card seen for the first time, with the set that its price row names."""

    id: str
    key: CardKey
    set_id: int


@lru_cache(maxsize=1024)
def slug(printing: str) -> str:
    """The printing as it stands in an id: "Reverse Holofoil" becomes "reverse-holofoil".

    Accents are dropped; empty where no letter or digit of ASCII is left.
    """
    plain = unicodedata.normalize("NFKD", printing).encode("ascii", "ignore").decode()
    return _OTHERS.sub("-", plain.lower()).strip("-")


def card_id(key: CardKey) -> str:
    """The stable, URL-safe id of a card."""
    category, product_id, printing = key
    return f"{category}-{product_id}-{slug(printing)}"


def shard(id: str) -> int:
    """Which of the 64 shards a card's events travel in."""
    return zlib.crc32(id.encode()) % SHARDS


def category(text: str) -> str:
    """Reads a category. Raises FieldError."""
    if len(text) > 40 or not _CATEGORY.fullmatch(text):
        raise FieldError("not_a_category", "1 to 40 of a-z, 0-9 and single hyphens between")
    return text


def product_id(text: str) -> int:
    """Reads a product's number, or a set's. Raises FieldError."""
    if not _PRODUCT.fullmatch(text):
        raise FieldError("not_an_id", "a whole number above 0, at most 12 digits")
    return int(text)


def printing(text: str) -> str:
    """Reads a printing. Raises FieldError."""
    if not 1 <= len(text) <= 60 or not text.isprintable() or text.strip() != text:
        raise FieldError("not_a_printing", "1 to 60 printable characters, none blank at the ends")
    if not slug(text):
        raise FieldError("not_a_printing", "at least one letter or digit of ASCII")
    return text
