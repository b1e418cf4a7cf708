"""The catalogue: what is known of products beside their prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from services.market.domain import cards, prices, table
from services.market.domain.faults import FieldError, RowFault

COLUMNS = (
    *("category", "group_id", "group_name", "published", "product_id", "name", "number"),
    *("rarity", "is_sealed", "image_url"),
)
MAX_TEXT = 300
MAX_URL = 1000


@dataclass(slots=True)
class Catalog:
    """The good rows, column by column in the order of COLUMNS and sorted by product; the faults."""

    columns: list[list[Any]]
    faults: list[RowFault]
    row_count: int

    def __len__(self) -> int:
        return len(self.columns[0])


def parse(data: bytes, *, max_rows: int) -> Catalog:
    """Reads a catalogue. Raises FileRefusedError when its heading is wrong or no row is good."""
    read = table.read(data, COLUMNS, max_rows)
    good = np.ones(len(read.lines), np.bool_)
    faults = list(read.faults)
    columns: list[list[Any]] = []
    for name, texts in zip(COLUMNS, read.columns, strict=True):
        reader: table.Reader[Any] = table.Reader(name, _READERS[name], bad=None)
        columns.append(reader.column(texts))
        faults += reader.check(texts, read.lines, good)
    category, product = columns[0], columns[4]
    _check_repeats(list(zip(category, product, strict=True)), read.lines, good, faults)
    rows = sorted(np.flatnonzero(good).tolist(), key=lambda row: (category[row], product[row]))
    if not rows:
        raise table.no_rows(read.row_count, faults)
    kept = [[column[row] for row in rows] for column in columns]
    return Catalog(kept, sorted(faults), read.row_count)


def _check_repeats(
    keys: Sequence[tuple[str, int]], lines: table.Lines, good: table.Mask, faults: list[RowFault]
) -> None:
    first: dict[tuple[str, int], int] = {}
    for row in np.flatnonzero(good).tolist():
        other = first.setdefault(keys[row], row)
        if other != row:
            good[row] = False
            told = f"the same product is on line {lines[other]} already"
            faults.append(RowFault(int(lines[row]), "", "duplicate_row", told))


def _text(text: str) -> str:
    if len(text) > MAX_TEXT or not text.isprintable():
        raise FieldError("not_a_text", f"at most {MAX_TEXT} printable characters")
    return text.strip()


def _name(text: str) -> str:
    if not text.strip():
        raise FieldError("not_a_text", "a name")
    return _text(text)


def _published(text: str) -> date | None:
    return prices.read_day(text) if text else None


def _sealed(text: str) -> bool:
    if text not in ("0", "1"):
        raise FieldError("not_a_flag", "0 or 1")
    return text == "1"


def _image(text: str) -> str:
    if not text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    plain = text.isascii() and text.isprintable() and " " not in text and len(text) <= MAX_URL
    if not plain or parts.scheme not in ("http", "https") or not parts.hostname:
        raise FieldError("not_a_url", f"an http or https URL of at most {MAX_URL} characters")
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "category": cards.category,
    "group_id": cards.product_id,
    "group_name": _text,
    "published": _published,
    "product_id": cards.product_id,
    "name": _name,
    "number": _text,
    "rarity": _text,
    "is_sealed": _sealed,
    "image_url": _image,
}
