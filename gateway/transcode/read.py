"""JSON as messages: one table of setters a message type, made once at start.

Reading goes on after a fault, so that an answer names every field that is wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.transcode import scalars, wellknown
from gateway.transcode.descriptors import (
    OUTPUT_ONLY,
    REQUIRED,
    ContractError,
    behaviors,
    descriptor_of,
    in_oneof,
    is_map,
    kind_of_message,
)
from gateway.transcode.scalars import Read, Refused, kind_of
from libs.errors import Violation

Faults = list[Violation]
Assign = Callable[[Message, Any, str, Faults], None]


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is read. `scalar` reads it from a path or a query; None for objects."""

    name: str
    json_name: str
    assign: Assign
    scalar: Read | None
    repeated: bool
    message: Descriptor | None
    output_only: bool
    oneof: str
    kind: str  # how a query spells it: "integer", "number", "boolean" or "text"


class Shape:
    """The fields of one message type, by both their names."""

    def __init__(self, descriptor: Descriptor) -> None:
        self.name = descriptor.name
        self.fields: dict[str, Field] = {}

    def unknown(self, key: str, path: str) -> Violation:
        """The violation that an unknown key is."""
        close = difflib.get_close_matches(key, self.fields, 1, 0.75)
        hint = f"; did you mean {self.fields[close[0]].json_name!r}?" if close else ""
        told = f"{self.name} has no such field{hint}"
        return Violation(join(path, shown(key)), told, "unknown_field")


class Readers:
    """Compiled readers by message type; compiles what it has not seen."""

    def __init__(self) -> None:
        self._shapes: dict[str, Shape] = {}
        self._required: dict[str, list[tuple[FieldDescriptor, bool]]] = {}

    def shape(self, descriptor: Descriptor) -> Shape:
        """The fields of a type."""
        shape = self._shapes.get(descriptor.full_name)
        if shape is None:
            wellknown.check_served(descriptor)
            shape = self._shapes[descriptor.full_name] = Shape(descriptor)
            for item in descriptor.fields:
                field = self._field(item)
                shape.fields[field.json_name] = shape.fields[field.name] = field
        return shape

    def read(self, message: Message, data: Any, path: str, faults: Faults) -> None:
        """Fills `message` from a JSON value; what is wrong is added to `faults`."""
        shape = self.shape(descriptor_of(message))
        if type(data) is not dict:
            told = f"expected an object, got {kind_of(data)}"
            faults.append(Violation(path or "body", told, "wrong_type"))
            return
        taken: dict[str, str] = {}
        for key, value in data.items():
            field = shape.fields.get(key)
            if field is None:
                faults.append(shape.unknown(key, path))
            elif not field.output_only and value is not None:
                clash = taken.setdefault(field.oneof or field.name, key)
                if clash != key:
                    faults.append(_clash(field, clash, join(path, field.json_name)))
                else:
                    field.assign(message, value, join(path, field.json_name), faults)

    def missing(self, message: Message, path: str, faults: Faults, *, but: str = "") -> None:
        """Adds a violation for each REQUIRED field that was not given, at any depth but within the
        field called `but`."""
        for item, required in self._requirements(descriptor_of(message)):
            value = getattr(message, item.name)
            here = join(path, item.json_name)
            if item.is_repeated:
                given = bool(value)
            else:
                given = message.HasField(item.name) if item.has_presence else bool(value)
            if required and not given:
                _require(here, faults)
            elif given and _holds_messages(item) and item.name != but:
                entries = enumerate(value) if item.is_repeated else ()
                for index, entry in entries:
                    self.missing(entry, f"{here}[{index}]", faults)
                if not item.is_repeated:
                    self.missing(value, here, faults)

    def _requirements(self, descriptor: Descriptor) -> list[tuple[FieldDescriptor, bool]]:
        found = self._required.get(descriptor.full_name)
        if found is None:
            found = self._required[descriptor.full_name] = []
            if not descriptor.full_name.startswith("google.protobuf."):
                for item in descriptor.fields:
                    marks = behaviors(item)
                    nested = _holds_messages(item)
                    if OUTPUT_ONLY not in marks and (REQUIRED in marks or nested):
                        found.append((item, REQUIRED in marks))
        return found

    def _field(self, item: FieldDescriptor) -> Field:
        special = self._special(item)
        if is_map(item):
            assign = self._assign_map(item)
        elif item.message_type is not None and special is None:
            assign = self._assign_messages(item) if item.is_repeated else self._assign_message(item)
        else:
            read = special or scalars.reader(item)
            by_value = item.message_type is None
            assign = (
                _assign_list(item.name, read)
                if item.is_repeated
                else _assign(item.name, read, by_value=by_value)
            )
        return Field(
            name=item.name,
            json_name=item.json_name,
            assign=assign,
            scalar=special or (None if item.message_type else scalars.reader(item)),
            repeated=item.is_repeated,
            message=item.message_type,
            output_only=OUTPUT_ONLY in behaviors(item),
            oneof=item.containing_oneof.name if in_oneof(item) and item.containing_oneof else "",
            kind=_kind(item),
        )

    @staticmethod
    def _special(item: FieldDescriptor) -> Read | None:
        kind = item.message_type
        if kind is None:
            return None
        if kind.full_name in wellknown.WRAPPERS:
            inner = scalars.reader(kind.fields_by_name["value"])
            wrapper = message_factory.GetMessageClass(kind)
            return lambda value: wrapper(value=inner(value))
        return wellknown.READERS.get(kind.full_name)

    def _assign_message(self, item: FieldDescriptor) -> Assign:
        name = item.name

        def assign(message: Message, value: Any, path: str, faults: Faults) -> None:
            child = getattr(message, name)
            child.SetInParent()
            self.read(child, value, path, faults)

        return assign

    def _assign_messages(self, item: FieldDescriptor) -> Assign:
        name = item.name

        def assign(message: Message, value: Any, path: str, faults: Faults) -> None:
            for index, entry in _entries(value, path, faults):
                self.read(getattr(message, name).add(), entry, f"{path}[{index}]", faults)

        return assign

    def _assign_map(self, item: FieldDescriptor) -> Assign:
        key, value_field = (kind_of_message(item).fields_by_name[n] for n in ("key", "value"))
        if key.type != FieldDescriptor.TYPE_STRING or value_field.message_type is not None:
            raise ContractError(f"{item.full_name}: only maps of text to scalars are served")
        read, name = scalars.reader(value_field), item.name

        def assign(message: Message, value: Any, path: str, faults: Faults) -> None:
            if type(value) is not dict:
                faults.append(
                    Violation(path, f"expected an object, got {kind_of(value)}", "wrong_type")
                )
                return
            target = getattr(message, name)
            for entry_key, entry in value.items():
                try:
                    target[scalars.read_string(entry_key)] = read(entry)
                except Refused as refused:
                    faults.append(
                        Violation(join(path, shown(entry_key)), refused.expected, refused.reason)
                    )

        return assign


def join(path: str, name: str) -> str:
    """The path of a field inside the message at `path`."""
    return f"{path}.{name}" if path else name


def _assign(name: str, read: Read, *, by_value: bool) -> Assign:
    def assign(message: Message, value: Any, path: str, faults: Faults) -> None:
        try:
            got = read(value)
        except Refused as refused:
            faults.append(Violation(path, refused.expected, refused.reason))
            return
        if by_value:
            setattr(message, name, got)
        else:
            getattr(message, name).CopyFrom(got)

    return assign


def _assign_list(name: str, read: Read) -> Assign:
    def assign(message: Message, value: Any, path: str, faults: Faults) -> None:
        target = getattr(message, name)
        for index, entry in _entries(value, path, faults):
            try:
                target.append(read(entry))
            except Refused as refused:
                faults.append(Violation(f"{path}[{index}]", refused.expected, refused.reason))

    return assign


def _entries(value: Any, path: str, faults: Faults) -> list[tuple[int, Any]]:
    if type(value) is not list:
        faults.append(Violation(path, f"expected a list, got {kind_of(value)}", "wrong_type"))
        return []
    return list(enumerate(value))


def _holds_messages(item: FieldDescriptor) -> bool:
    """Whether fields within it may be required; maps of ours have plain values."""
    return item.message_type is not None and not is_map(item)


def _require(path: str, faults: Faults) -> None:
    """A field that is there but wrong is told of once, as wrong."""
    if not any(v.field == path or v.field.startswith((f"{path}.", f"{path}[")) for v in faults):
        faults.append(Violation(path, "is required", "required"))


def _clash(field: Field, other: str, path: str) -> Violation:
    if field.oneof:
        return Violation(path, f"only one of its kind may be given, and {other!r} is", "one_of")
    return Violation(path, f"is given twice, also as {other!r}", "duplicate_field")


_KINDS = {
    **dict.fromkeys(scalars.INTEGERS, "integer"),
    FieldDescriptor.TYPE_DOUBLE: "number",
    FieldDescriptor.TYPE_FLOAT: "number",
    FieldDescriptor.TYPE_BOOL: "boolean",
}


def _kind(item: FieldDescriptor) -> str:
    if item.message_type is not None and item.message_type.full_name in wellknown.WRAPPERS:
        item = item.message_type.fields_by_name["value"]
    return _KINDS.get(item.type, "text")


def shown(key: str) -> str:
    """A key of the client's, fit for an answer: short and printable."""
    if not key:
        return '""'
    safe = "".join(c if c.isprintable() else "\ufffd" for c in key[:64])
    return safe.encode(errors="replace").decode() + ("…" if len(key) > 64 else "")
