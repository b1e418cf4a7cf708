"""What is wrong with something that somebody asked for."""

from __future__ import annotations


class FieldError(ValueError):
    """A value is not what its field holds.

    `field` is a path in proto names below the thing that was read, empty for the thing itself;
    `reason` is a stable word; `expected` is for people.
    """

    def __init__(self, field: str, reason: str, expected: str) -> None:
        super().__init__(f"{field}: {expected}" if field else expected)
        self.field = field
        self.reason = reason
        self.expected = expected
