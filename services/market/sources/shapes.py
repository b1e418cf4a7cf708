"""Reading what sources answer: each fault names the part and the field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from services.market.sources.adapter import DriftError

_CENT = Decimal("0.01")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")


def parsed(part: str, data: bytes) -> Mapping[str, Any]:
    """A JSON object; numbers with places are decimals, never floats. Raises DriftError."""
    answer = _json(part, data)
    if not isinstance(answer, dict):
        raise DriftError(part, "body", "an object")
    return answer


def listed(part: str, data: bytes) -> Sequence[Mapping[str, Any]]:
    """A JSON list of objects, read alike. Raises DriftError."""
    return rows(part, {"body": _json(part, data)}, "body")


def rows(part: str, answer: Mapping[str, Any], field: str) -> Sequence[Mapping[str, Any]]:
    """A list of objects. Raises DriftError."""
    found = answer.get(field)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise DriftError(part, field, "a list of objects")
    return found


def within(part: str, answer: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """An object in another; an empty one for none. Raises DriftError."""
    found = answer.get(field)
    if found is not None and not isinstance(found, dict):
        raise DriftError(part, field, "an object")
    return found or {}


def day(part: str, one: Mapping[str, Any], field: str) -> date:
    """The day of a time (RFC 3339), in UTC. Raises DriftError."""
    try:
        return datetime.fromisoformat(text(part, one, field)).astimezone(UTC).date()
    except ValueError:
        raise DriftError(part, field, "a time, as in RFC 3339") from None


def whole(part: str, one: Mapping[str, Any], field: str) -> int:
    """A whole number. Raises DriftError."""
    value = one.get(field)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DriftError(part, field, "a whole number")
    return value


def text(part: str, one: Mapping[str, Any], field: str) -> str:
    """A text that is not empty, without the blanks around it. Raises DriftError."""
    value = one.get(field)
    if not isinstance(value, str) or not value.strip():
        raise DriftError(part, field, "a text")
    return value.strip()


def to_the_cent(value: Decimal | None) -> str:
    """A price as files have it; "" for none, and for what is nothing when rounded."""
    cents = None if value is None else value.quantize(_CENT, ROUND_HALF_UP)
    return f"{cents:f}" if cents else ""


def decimal(part: str, one: Mapping[str, Any], field: str, within: str = "") -> Decimal:
    """A price that is written as a text. Raises DriftError."""
    value = one.get(field)
    if not isinstance(value, str) or _DECIMAL.fullmatch(value) is None:
        raise DriftError(part, f"{within}{field}", "a decimal number as a text")
    return Decimal(value)


def price(part: str, one: Mapping[str, Any], field: str, within: str = "") -> Decimal | None:
    """A price; None for null and for 0. A negative one is left for the file's own check to set
    aside. `within` is the field's place in the part. Raises DriftError."""
    value = one.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise DriftError(part, f"{within}{field}", "a number or null")
    return Decimal(value) or None


def _json(part: str, data: bytes) -> Any:
    try:
        return json.loads(data, parse_float=Decimal)
    except ValueError:
        raise DriftError(part, "body", "JSON") from None
