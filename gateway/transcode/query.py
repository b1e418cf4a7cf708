"""Query parameters as fields of the request: `filter=…`, `a.b=…`, repeated ones several times."""

from __future__ import annotations

import re

from google.protobuf.message import Message

from gateway.transcode.descriptors import descriptor_of
from gateway.transcode.read import Faults, Field, Readers, join, shown
from gateway.transcode.scalars import Refused
from libs.errors import Violation, invalid

MAX_PARAMETERS = 100
_HEX = frozenset("0123456789abcdefABCDEF")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


def parse(query: str) -> list[tuple[str, str]]:
    """The pairs of a query string, decoded. Raises AppError INVALID for a bad percent-encoding."""
    if not query:
        return []
    parts = query.split("&")
    if len(parts) > MAX_PARAMETERS:
        raise invalid("query", f"holds more than {MAX_PARAMETERS} parameters", "too_many")
    pairs = []
    for part in parts:
        if part:
            key, _, value = part.partition("=")
            name = decode(key, "query")
            pairs.append((name, decode(value, name or "query")))
    return pairs


def decode(text: str, field: str) -> str:
    """Undoes percent-encoding and "+"; the result is text of valid UTF-8."""
    if "%" not in text and text.isascii():
        return text.replace("+", " ")
    out = bytearray()
    data = text.replace("+", " ")
    index = 0
    while index < len(data):
        char = data[index]
        if char == "%":
            pair = data[index + 1 : index + 3]
            if len(pair) != 2 or not _HEX.issuperset(pair):
                raise invalid(
                    field, 'holds a "%" that two hex digits do not follow', "bad_encoding"
                )
            out.append(int(pair, 16))
            index += 3
        else:
            out += char.encode(errors="replace")
            index += 1
    try:
        return out.decode()
    except UnicodeDecodeError:
        raise invalid(field, "is not UTF-8 once decoded", "bad_encoding") from None


def apply(
    readers: Readers,
    message: Message,
    pairs: list[tuple[str, str]],
    bound: frozenset[str],
    faults: Faults,
) -> None:
    """Sets the fields named by `pairs`. Those in `bound` come from the path or the body alone."""
    seen: set[str] = set()
    for key, text in pairs:
        found = _find(readers, message, key)
        if found is None or (found[0] is message and found[1].name in bound):
            faults.append(_unknown(readers, message, key, bound))
            continue
        parent, field, path = found
        if path in seen and not field.repeated:
            faults.append(Violation(path, "is given more than once", "duplicate_field"))
            continue
        seen.add(path)
        if not field.output_only:
            try:
                value = from_text(field, text)
            except Refused as refused:
                faults.append(Violation(path, refused.expected, refused.reason))
                continue
            field.assign(parent, [value] if field.repeated else value, path, faults)


def from_text(field: Field, text: str) -> object:
    """The JSON value that a parameter's text stands for."""
    if field.kind == "boolean":
        if text not in ("true", "false"):
            raise Refused('expected "true" or "false"', "bad_format")
        return text == "true"
    if field.kind == "integer":
        if not _INTEGER.fullmatch(text):
            raise Refused("expected a whole number", "bad_format")
        return int(text)
    if field.kind == "number":
        if not _NUMBER.fullmatch(text):
            raise Refused("expected a number", "bad_format")
        return float(text)
    return text


def _find(readers: Readers, message: Message, key: str) -> tuple[Message, Field, str] | None:
    *parents, last = key.split(".")
    path = ""
    for name in parents:
        field = readers.shape(descriptor_of(message)).fields.get(name)
        if field is None or field.message is None or field.scalar or field.repeated:
            return None
        message = getattr(message, field.name)
        path = join(path, field.json_name)
    field = readers.shape(descriptor_of(message)).fields.get(last)
    if field is None or field.scalar is None:
        return None
    return message, field, join(path, field.json_name)


def _unknown(readers: Readers, message: Message, key: str, bound: frozenset[str]) -> Violation:
    shape = readers.shape(descriptor_of(message))
    field = shape.fields.get(key)
    if field is not None and field.name in bound:
        told = "is given by the path or the body, not by the query"
        return Violation(field.json_name, told, "unknown_parameter")
    takes = {f.json_name for f in shape.fields.values() if f.name not in bound and f.scalar}
    told = f"there are {', '.join(sorted(takes))}" if takes else "there are none"
    told = f"there is no such query parameter; {told}"
    return Violation(shown(key) if key else "query", told, "unknown_parameter")
