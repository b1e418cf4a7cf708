"""PostgreSQL's binary COPY format, made from arrays.

https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format". A tuple a row costs asyncpg
about 1 µs a value; here 60,000 rows are laid out at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH = date(2000, 1, 1).toordinal()
_BIG_ENDIAN = {2: ">i2", 4: ">i4"}

# A column of int2 or int4, and where it is null (None: nowhere).
Column = tuple[npt.NDArray[np.int16] | npt.NDArray[np.int32], npt.NDArray[np.bool_] | None]


def day_number(day: date) -> int:
    """A date as PostgreSQL counts it: days since 2000-01-01."""
    return day.toordinal() - _EPOCH


def day_of(number: int) -> date:
    """The inverse of `day_number`."""
    return date.fromordinal(number + _EPOCH)


def array(numbers: npt.NDArray[np.int32]) -> str:
    """A one-dimensional array as a literal, for `$1::text::int[]`.

    asyncpg encodes a list at 0.4 µs an element, in the loop; this takes a tenth of it.
    """
    return "{" + str(numbers.tolist())[1:-1] + "}"


def encode(columns: Sequence[Column]) -> bytes:
    """The COPY data of columns of equal length."""
    count = len(columns[0][0])
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for place, (values, _) in enumerate(columns):
        width = values.dtype.itemsize
        layout += [(f"size{place}", ">i4"), (f"value{place}", _BIG_ENDIAN[width])]
    dtype = np.dtype(layout)
    rows = np.empty(count, dtype)
    kept = np.ones((count, dtype.itemsize), np.bool_)
    rows["fields"] = len(columns)
    for place, (values, null) in enumerate(columns):
        width = values.dtype.itemsize
        rows[f"size{place}"] = width
        rows[f"value{place}"] = values
        if null is not None:
            # A null is a size of -1 and no value: its bytes are left out of the row.
            rows[f"size{place}"][null] = -1
            start = dtype.fields[f"value{place}"][1]  # type: ignore[index] # it has fields
            kept[null, start : start + width] = False
    body = rows.view(np.uint8).reshape(count, dtype.itemsize)[kept].tobytes()
    return _HEADER + body + _TRAILER


def decode(data: bytes, fields: int) -> list[npt.NDArray[np.int32]]:
    """The inverse, for rows of so many int4 that are never null."""
    names = [(f"{kind}{place}", ">i4") for place in range(fields) for kind in ("size", "value")]
    dtype = np.dtype([("fields", ">i2"), *names])
    count = (len(data) - len(_HEADER) - len(_TRAILER)) // dtype.itemsize
    rows = np.frombuffer(data, dtype, count, len(_HEADER))
    return [rows[f"value{place}"].astype(np.int32) for place in range(fields)]
