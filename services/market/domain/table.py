"""Reading CSV so that one bad line costs one row, and every fault has its line.

Lines are split here, at line feeds, before anything looks at quotes: a stray quote cannot swallow
the lines after it. A field that spans lines is therefore not possible; none of our files has one.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from services.market.domain.faults import FieldError, FileRefusedError, RowFault

T = TypeVar("T")
Lines = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_BOM = "\ufeff"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(slots=True)
class Table:
    """The rows that have the right number of fields, column by column, as text.

    `columns` are in the order that was asked for; `lines` is each row's physical line;
    `row_count` counts all rows, those in `faults` included.
    """

    columns: list[list[str]]
    lines: Lines
    faults: list[RowFault]
    row_count: int


def read(data: bytes, names: Sequence[str], max_rows: int) -> Table:
    """Splits a file into columns. Raises FileRefusedError when its heading or its size is wrong."""
    text, clean = _decode(data)
    lines = text.removeprefix(_BOM).replace("\r\n", "\n").split("\n")
    order = _order(lines[0], names)
    if len(lines) - 1 > max_rows + 1:
        raise FileRefusedError("file", "too_many_rows", f"expected at most {max_rows} rows")
    numbers, columns, faults = _split(lines, len(names), clean)
    _refuse_cut_file(lines, faults)
    return Table(
        [columns[place] for place in order],
        np.array(numbers, np.int64),
        faults,
        len(numbers) + len(faults),
    )


class Reader(dict[str, T], Generic[T]):
    """Reads a column's texts, each distinct one once: `reader[text]` is its value.

    A text that `read` refuses with FieldError has the value `bad`, and its fault in `refused`.
    """

    def __init__(self, field: str, read: Callable[[str], T], bad: T) -> None:
        super().__init__()
        self.field = field
        self.bad = bad
        self.refused: dict[str, FieldError] = {}
        self._read = read

    def __missing__(self, text: str) -> T:
        try:
            value = self._read(text)
        except FieldError as error:
            # Its traceback would hold the whole file, in a circle that only the collector breaks.
            self.refused[text] = error.with_traceback(None)
            value = self.bad
        self[text] = value
        return value

    def column(self, texts: Sequence[str]) -> list[T]:
        """The values of a whole column."""
        return list(map(self.__getitem__, texts))

    def check(self, texts: Sequence[str], lines: Lines, good: Mask) -> list[RowFault]:
        """The faults of a column's rows that were good so far; they are no longer."""
        if not self.refused:
            return []
        faults = []
        for row in np.flatnonzero(good).tolist():
            error = self.refused.get(texts[row])
            if error is not None:
                good[row] = False
                told = f"expected {error.expected}; got {texts[row][:60]!r}"
                faults.append(RowFault(int(lines[row]), self.field, error.reason, told))
        return faults


def no_rows(row_count: int, faults: Sequence[RowFault]) -> FileRefusedError:
    """A file without one good row."""
    told = f"none of {row_count} rows can be used"
    return FileRefusedError("file", "no_rows", told, sorted(faults))


def _decode(data: bytes) -> tuple[str, bool]:
    if data.startswith(_UTF16) or b"\0" in data[:4]:
        raise FileRefusedError("file", "wrong_encoding", "expected UTF-8; this looks like UTF-16")
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        # Undecodable bytes become lone surrogates: their rows are found, and set aside, by those.
        return data.decode(errors="surrogateescape"), False


def _order(line: str, names: Sequence[str]) -> list[int]:
    """Where each of `names` stands in the heading."""
    try:
        heading = _fields(line)
    except csv.Error as error:
        raise FileRefusedError("file", "bad_quoting", f"line 1: {error}") from None
    for name in names:
        if name not in heading:
            raise FileRefusedError(
                name, "missing_column", f"line 1: the column {name!r} is missing"
            )
    for place, name in enumerate(heading):
        shown = name.encode(errors="replace").decode()[:60]
        if name not in names:
            raise FileRefusedError(shown, "unknown_column", f"line 1: {shown!r} is not a column")
        if name in heading[:place]:
            raise FileRefusedError(name, "duplicate_column", f"line 1: {name!r} is there twice")
    return [heading.index(name) for name in names]


def _split(
    lines: Sequence[str], width: int, clean: bool
) -> tuple[list[int], list[list[str]], list[RowFault]]:
    """The good rows' line numbers and columns; the faults of the others.

    Plain rows are joined and split again all at once: a list a row costs twice the time.
    """
    commas, blank = width - 1, "," * (width - 1)
    numbers: list[int] = []
    plain: list[str] = []
    quoted: list[tuple[int, list[str]]] = []
    faults: list[RowFault] = []
    for number, line in enumerate(lines[1:], 2):
        if line.count(",") != commas or '"' in line or not (clean or line.isascii()):
            if not line:
                continue
            fault = _unreadable(line, width)
            if fault is not None:
                faults.append(RowFault(number, "", *fault))
                continue
            quoted.append((len(plain), _fields(line)))
            line = blank
        plain.append(line)
        numbers.append(number)
    flat = ",".join(plain).split(",") if plain else []
    columns = [flat[place::width] for place in range(width)]
    for row, fields in quoted:
        for column, text in zip(columns, fields, strict=True):
            column[row] = text
    return numbers, columns, faults


def _unreadable(line: str, width: int) -> tuple[str, str] | None:
    if _undecodable(line):
        return "wrong_encoding", "expected UTF-8"
    try:
        count = len(_fields(line))
    except csv.Error as error:
        return "bad_quoting", f"a quote is out of place: {error}"
    if count != width:
        return "wrong_field_count", f"expected {width} fields; got {count}"
    return None


def _fields(line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    return next(csv.reader([line], strict=True))


def _undecodable(line: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in line)


def _refuse_cut_file(lines: Sequence[str], faults: Sequence[RowFault]) -> None:
    """A last line without its end that is no whole row: the file was cut while it was written."""
    if lines[-1] and faults and faults[-1].line == len(lines) and len(lines) > 1:
        raise FileRefusedError(
            "file", "truncated_file", f"line {len(lines)}: the file ends within a row"
        )
