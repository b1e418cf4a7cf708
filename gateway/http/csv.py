"""Lists as CSV (RFC 4180): one row a resource, nested fields as columns, streamed page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.transcode import wellknown
from gateway.transcode.descriptors import in_oneof, kind_of_message

# A cell that begins like a formula is run by spreadsheets; a leading apostrophe makes it text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_QUOTED = frozenset(',"\r\n')
_TEXT = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
MAX_DEPTH = 4

Column = tuple[tuple[str, ...], bool]


class Table:
    """The columns of a resource, and its rows."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._columns = list(_columns(descriptor, (), 0))
        self.header = ",".join(".".join(path) for path, _ in self._columns) + "\r\n"

    def rows(self, items: Iterable[Any], write: Callable[[Any], Any]) -> bytes:
        """The rows of `items`; `write` makes the JSON form of one."""
        lines = []
        for item in items:
            shown = write(item)
            cells = [_cell(_reach(shown, path), text=text) for path, text in self._columns]
            lines.append(",".join(cells))
        return ("\r\n".join(lines) + "\r\n").encode() if lines else b""


def _columns(descriptor: Descriptor, above: tuple[str, ...], depth: int) -> Iterable[Column]:
    for field in [f for f in descriptor.fields if not in_oneof(f)] + [
        f for f in descriptor.fields if in_oneof(f)
    ]:
        path = (*above, field.json_name)
        if field.message_type is None or field.is_repeated:
            yield path, field.type in _TEXT or field.is_repeated
        elif kind_of_message(field).full_name.startswith("google.protobuf."):
            yield path, kind_of_message(field).full_name not in wellknown.READERS
        elif depth < MAX_DEPTH:
            yield from _columns(kind_of_message(field), path, depth + 1)
        else:
            yield path, True


def _reach(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if value is None:
            return None
        value = value.get(name)
    return value


def _cell(value: Any, *, text: bool) -> str:
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, list | dict):
        if not value:
            return ""
        plain = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        value = ";".join(value) if plain else orjson.dumps(value).decode()
    shown = value if isinstance(value, str) else str(value)
    if text and shown.startswith(_FORMULA):
        shown = "'" + shown
    if not _QUOTED.isdisjoint(shown):
        return '"' + shown.replace('"', '""') + '"'
    return shown
