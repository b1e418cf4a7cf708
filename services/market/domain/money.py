"""Exact money: whole cents inside, decimals outside, nothing in between."""

from __future__ import annotations

import re

from services.market.domain.faults import FieldError

# What a column of int4 cents holds: 21,474,836.47.
MAX_CENTS = 2**31 - 1
# Stands for "no quote" in arrays of cents; the database has null.
NONE = -1

_PRICE = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,2}))?")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def cents(text: str) -> int:
    """The cents of "12.5"; NONE for an empty text. Raises FieldError.

    Plain digits with at most two decimals and nothing else: no sign, no exponent, no blank, no
    grouping. Zero is refused, for it stands for "unknown" where it occurs, and unknown is empty.
    """
    if not text:
        return NONE
    match = _PRICE.fullmatch(text)
    if match is None:
        raise _not_a_price(text)
    value = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if value > MAX_CENTS:
        raise FieldError("out_of_range", f"a price up to {decimal(MAX_CENTS)}")
    if value == 0:
        raise FieldError("not_positive", "a price above 0, or nothing where there is no quote")
    return value


def decimal(value: int) -> str:
    """The decimal text of cents, always with two places."""
    return f"{value // 100}.{value % 100:02d}"


def _not_a_price(text: str) -> FieldError:
    if _NUMBER.fullmatch(text):
        if text.startswith("-"):
            return FieldError("negative_price", "a price above 0")
        return FieldError("too_many_decimals", "a price with at most two decimals")
    return FieldError("not_a_price", "a price in plain digits, such as 12.50")
