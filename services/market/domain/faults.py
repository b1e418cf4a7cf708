"""What is wrong with a file: with one row, which is set aside, or with the whole, refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# So many faults of a file are kept and shown; the rest are counted.
MAX_FAULTS = 100


@dataclass(frozen=True, slots=True, order=True)
class RowFault:
    """Why one row was set aside.

    `line` counts physical lines from 1, the heading included; `field` is the column, empty where
    the row as a whole is at fault; `reason` is a stable word.
    """

    line: int
    field: str
    reason: str
    description: str


class FileRefusedError(Exception):
    """Nothing of the file can be used. `field` is the column, or "file".

    `faults` are those of its rows, where it is refused because none of them is good.
    """

    def __init__(
        self, field: str, reason: str, description: str, faults: Sequence[RowFault] = ()
    ) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.reason = reason
        self.description = description
        self.faults = tuple(faults[:MAX_FAULTS])


class FieldError(ValueError):
    """A text is not what its column holds; raised by a column's reader."""

    def __init__(self, reason: str, expected: str) -> None:
        super().__init__(expected)
        self.reason = reason
        self.expected = expected
