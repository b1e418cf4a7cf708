"""A request body as JSON, strictly: RFC 8259, one key once, no NaN, not deeper than 100."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from libs.errors import AppError, Kind, Violation

MAX_DEPTH = 100
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class _Repeated(dict[str, Any]):
    """An object in which a key came twice."""

    key = ""


def parse(body: bytes, path: str = "") -> Any:
    """The value. Raises AppError INVALID with the reason `malformed_json`, `duplicate_field` or
    `too_deep`; the field is "body", or that of the key that came twice, below `path`."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"is not UTF-8: byte {error.start} cannot be read") from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise _refused("body", f"is nested more than {MAX_DEPTH} deep", "too_deep")
    repeated: list[_Repeated] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        return built if len(built) == len(pairs) else _mark(pairs, repeated)

    try:
        value = json.loads(text, object_pairs_hook=build, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"is not JSON: {error.msg} at {where}") from None
    except ValueError:  # a number of thousands of digits, which int() refuses
        raise _malformed("holds a number with too many digits") from None
    if repeated:
        field = _find(value, repeated[0], path) or repeated[0].key
        raise _refused(field, "is given twice", "duplicate_field")
    return value


def _mark(pairs: list[tuple[str, Any]], repeated: list[_Repeated]) -> _Repeated:
    marked, seen = _Repeated(pairs), set[str]()
    for key, _ in pairs:
        if key in seen:
            marked.key = key
            break
        seen.add(key)
    repeated.append(marked)
    return marked


def _find(value: Any, wanted: _Repeated, path: str) -> str:
    """The path of the key that came twice. A repeated object may itself have been overwritten by
    its own repetition; then its key alone is named."""
    if value is wanted:
        return f"{path}.{wanted.key}" if path else wanted.key
    found = ""
    if isinstance(value, dict):
        for key, entry in value.items():
            found = found or _find(entry, wanted, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            found = found or _find(entry, wanted, f"{path}[{index}]")
    return found


def _depth(body: bytes) -> int:
    deepest = depth = 0
    for token in _TOKENS.finditer(body):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest


def _no_constant(name: str) -> NoReturn:
    raise _malformed(f"holds {name}, which is no JSON number")


def _malformed(told: str) -> AppError:
    return _refused("body", told, "malformed_json")


def _refused(field: str, told: str, reason: str) -> AppError:
    return AppError(
        Kind.INVALID, reason, f"{field}: {told}", violations=[Violation(field, told, reason)]
    )
