"""A day of prices, read from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from services.market.domain import cards, money, table
from services.market.domain.cards import CardKey
from services.market.domain.faults import FieldError, FileRefusedError, RowFault
from services.market.domain.table import Lines, Mask

COLUMNS = (
    *("date", "category", "group_id", "product_id", "subtype"),
    *("market", "low", "mid", "high", "direct_low"),
)
FIELDS = COLUMNS[5:]
MARKET = 0
LOW = 1
# Of the reading of files; it changes whenever the same file may be read otherwise.
VERSION = "prices-1"
FIRST_DAY = date(1990, 1, 1)

# n rows × 5 fields of cents, in the order of FIELDS; money.NONE where there is no quote.
Cents = npt.NDArray[np.int32]


@dataclass(slots=True)
class Prices:
    """The good rows of one day's file, and the faults of the others by line."""

    day: date
    keys: list[CardKey]
    set_ids: list[int]
    lines: Lines
    cents: Cents
    faults: list[RowFault]
    row_count: int

    def __len__(self) -> int:
        return len(self.keys)

    def keep(self, rows: npt.NDArray[np.int64]) -> None:
        """Keeps only these rows, in this order."""
        places = rows.tolist()
        self.keys = [self.keys[row] for row in places]
        self.set_ids = [self.set_ids[row] for row in places]
        self.lines, self.cents = self.lines[rows], self.cents[rows]

    def set_aside(self, rows: Sequence[int], reason: str, descriptions: Sequence[str]) -> None:
        """Moves rows to the faults."""
        told = zip(rows, descriptions, strict=True)
        found = [RowFault(int(self.lines[row]), "", reason, text) for row, text in told]
        self.faults = sorted([*self.faults, *found])
        self.keep(np.delete(np.arange(len(self)), rows))


def parse(data: bytes, *, day: date | None, latest: date, max_rows: int) -> Prices:
    """Reads a price file; every row must be of `day`, or of the first row's day where it is None.

    `latest` is the last day that may be quoted. Raises FileRefusedError when the heading is wrong,
    the day cannot be, or no row is good.
    """
    read = table.read(data, COLUMNS, max_rows)
    good = np.ones(len(read.lines), np.bool_)
    day = day or _first_day(read)
    _check_day(day, latest)
    faults = [*read.faults, *_check_days(read, good, day)]
    keys, set_ids = _keys(read, good, faults)
    cents = _cents(read, good, faults)
    _check_repeats(keys, read.lines, good, faults)
    if not good.any():
        raise table.no_rows(read.row_count, faults)
    prices = Prices(day, keys, set_ids, read.lines, cents, sorted(faults), read.row_count)
    if not good.all():
        prices.keep(np.flatnonzero(good))
    return prices


def read_day(text: str) -> date:
    """Reads a day, YYYY-MM-DD and nothing else. Raises FieldError."""
    try:
        if len(text) == 10 and text.isascii() and text[4] == text[7] == "-":
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise FieldError("not_a_day", "a day, YYYY-MM-DD")


def _first_day(read: table.Table) -> date:
    reader: table.Reader[date | None] = table.Reader("date", read_day, bad=None)
    for text in read.columns[0]:
        day = reader[text]
        if day is not None:
            return day
    good = np.ones(len(read.lines), np.bool_)
    faults = sorted([*read.faults, *reader.check(read.columns[0], read.lines, good)])
    raise table.no_rows(read.row_count, faults)


def _check_day(day: date, latest: date) -> None:
    if not FIRST_DAY <= day <= latest:
        raise FileRefusedError(
            "date", "day_out_of_range", f"expected {FIRST_DAY} to {latest}; got {day}"
        )


def _check_days(read: table.Table, good: Mask, day: date) -> list[RowFault]:
    def same(text: str) -> bool:
        if read_day(text) != day:
            raise FieldError("wrong_day", f"the file's day, {day}")
        return True

    reader = table.Reader("date", same, bad=False)
    reader.column(read.columns[0])
    return reader.check(read.columns[0], read.lines, good)


def _keys(read: table.Table, good: Mask, faults: list[RowFault]) -> tuple[list[CardKey], list[int]]:
    _, categories, groups, products, printings, *_ = read.columns
    category = table.Reader("category", cards.category, bad="")
    group = table.Reader("group_id", cards.product_id, bad=0)
    product = table.Reader("product_id", cards.product_id, bad=0)
    printing = table.Reader("subtype", cards.printing, bad="")
    keys = list(
        zip(
            category.column(categories),
            product.column(products),
            printing.column(printings),
            strict=True,
        )
    )
    set_ids = group.column(groups)
    for reader, texts in (
        (category, categories),
        (group, groups),
        (product, products),
        (printing, printings),
    ):
        faults += reader.check(texts, read.lines, good)
    return keys, set_ids


def _cents(read: table.Table, good: Mask, faults: list[RowFault]) -> Cents:
    values = np.empty((len(read.lines), len(FIELDS)), np.int32)
    known: dict[str, int] = {}
    for place, name in enumerate(FIELDS):
        texts = read.columns[COLUMNS.index(name)]
        reader = table.Reader(name, money.cents, bad=money.NONE)
        reader.update(known)
        values[:, place] = reader.column(texts)
        faults += reader.check(texts, read.lines, good)
        if not reader.refused:
            known = reader
    return values


def _check_repeats(
    keys: Sequence[CardKey], lines: Lines, good: Mask, faults: list[RowFault]
) -> None:
    if len(set(keys)) == len(keys):
        return
    first: dict[CardKey, int] = {}
    for row in np.flatnonzero(good).tolist():
        other = first.setdefault(keys[row], row)
        if other != row:
            good[row] = False
            told = f"the same card is on line {lines[other]} already"
            faults.append(RowFault(int(lines[row]), "", "duplicate_row", told))
