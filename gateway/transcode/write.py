"""Messages as JSON: one function a message type, its source generated once at start.

A generated function is a single dict display, which orjson then turns into bytes. That is several
times faster than walking the descriptor per message, as json_format does.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.transcode import scalars, wellknown
from gateway.transcode.descriptors import descriptor_of, in_oneof, is_map, kind_of_message

Write = Callable[[Any], Any]
_FLOATS = (FieldDescriptor.TYPE_FLOAT,)


class Writers:
    """Compiled writers by message type; compiles what it has not seen."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._scope: dict[str, Any] = {
            "bytes_": scalars.write_bytes,
            "float_": scalars.write_float,
        }

    def writer(self, descriptor: Descriptor) -> Write:
        """A function from a message of that type to what orjson can print."""
        function: Write = self._scope[self._compile(descriptor)]
        return function

    def encoder(self, message_type: type[Message]) -> Callable[[bytes], bytes]:
        """A function from a serialized message to its JSON."""
        parse, write, dumps = (
            message_type.FromString,
            self.writer(descriptor_of(message_type)),
            orjson.dumps,
        )
        return lambda data: dumps(write(parse(data)))

    def _compile(self, descriptor: Descriptor) -> str:
        name = self._names.get(descriptor.full_name)
        if name is None:
            name = self._names[descriptor.full_name] = "write_" + _identifier(descriptor.full_name)
            wellknown.check_served(descriptor)
            special = wellknown.WRITERS.get(descriptor.full_name)
            if special is not None:
                self._scope[name] = special
            else:
                self._define(f"def {name}(m):\n{self._body(descriptor)}")
        return name

    def _define(self, source: str) -> None:
        # The source is made of our own descriptors' names alone; nothing of a request reaches it.
        exec(compile(source, "<gateway.transcode.write>", "exec"), self._scope)  # noqa: S102

    def _body(self, descriptor: Descriptor) -> str:
        if descriptor.full_name in wellknown.WRAPPERS:
            return f"    return {self._value(descriptor.fields_by_name['value'], 'm.value')}\n"
        plain = [f for f in descriptor.fields if not in_oneof(f)]
        lines = "".join(f"        {f.json_name!r}: {self._field(f)},\n" for f in plain)
        body = f"    out = {{\n{lines}    }}\n" if lines else "    out = {}\n"
        for oneof in descriptor.oneofs:
            members = [f for f in oneof.fields if in_oneof(f)]
            if members:
                body += self._oneof(oneof.name, members)
        return body + "    return out\n"

    def _oneof(self, name: str, members: list[FieldDescriptor]) -> str:
        """Only the member that is set is printed: a null beside it would look like a choice."""
        lines = f"    which = m.WhichOneof({name!r})\n"
        for index, member in enumerate(members):
            lines += f"    {'elif' if index else 'if'} which == {member.name!r}:\n"
            lines += f"        out[{member.json_name!r}] = {self._value(member, _get(member))}\n"
        return lines

    def _field(self, field: FieldDescriptor) -> str:
        got = _get(field)
        if is_map(field):
            entry = kind_of_message(field).fields_by_name
            key, shown = self._key(entry["key"]), self._value(entry["value"], "v")
            return f"{{{key}: {shown} for k, v in {got}.items()}}"
        if field.is_repeated:
            item = self._value(field, "i")
            return f"list({got})" if item == "i" else f"[{item} for i in {got}]"
        value = self._value(field, got)
        if field.has_presence:
            return f"{value} if m.HasField({field.name!r}) else None"
        return value

    @staticmethod
    def _key(key: FieldDescriptor) -> str:
        if key.type == FieldDescriptor.TYPE_BOOL:
            return "'true' if k else 'false'"
        return "k" if key.type == FieldDescriptor.TYPE_STRING else "str(k)"

    def _value(self, field: FieldDescriptor, expression: str) -> str:
        """The expression that prints one value of the field."""
        if field.message_type is not None:
            return f"{self._compile(field.message_type)}({expression})"
        if field.enum_type is not None:
            return f"{self._enum(field)}.get({expression}, {expression})"
        if field.type in scalars.WIDE:
            return f"str({expression})"
        if field.type == FieldDescriptor.TYPE_BYTES:
            return f"bytes_({expression})"
        if field.type in _FLOATS:
            return f"float_({expression})"
        return expression  # orjson prints a double that is not finite as null: unknown

    def _enum(self, field: FieldDescriptor) -> str:
        """The name of a dict number → name; a number of a later version is printed as it is."""
        assert field.enum_type is not None
        name = "enum_" + _identifier(field.enum_type.full_name)
        self._scope[name] = {v.number: v.name for v in reversed(field.enum_type.values)}
        return name


def _get(field: FieldDescriptor) -> str:
    """Attribute access, or getattr for a name that is a word of Python, such as "import"."""
    name = field.name
    return f"getattr(m, {name!r})" if _identifier(name) != name else f"m.{name}"


def _identifier(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name.replace(".", "_")
