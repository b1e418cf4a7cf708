"""Message types as JSON Schema (2020-12), in two views: what is sent to us and what we answer.

An answer prints every field; a request may leave out all but the REQUIRED, and what is OUTPUT_ONLY
is not part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.transcode import scalars, wellknown
from gateway.transcode.descriptors import (
    IMMUTABLE,
    OUTPUT_ONLY,
    REQUIRED,
    Contract,
    ContractError,
    behaviors,
    in_oneof,
    is_map,
    kind_of_message,
)

Schema = dict[str, Any]
_F = FieldDescriptor
_INT64: Schema = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UINT64: Schema = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}
_INT32: Schema = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Schema = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_SCALARS: dict[int, Schema] = {
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _F.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _F.TYPE_FLOAT: {"type": "number", "format": "float"},
    **dict.fromkeys(scalars.WIDE, _INT64),
    _F.TYPE_UINT64: _UINT64,
    _F.TYPE_FIXED64: _UINT64,
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_SINT32, _F.TYPE_SFIXED32), _INT32),
    **dict.fromkeys((_F.TYPE_UINT32, _F.TYPE_FIXED32), _UINT32),
}
_SPECIAL: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    wellknown.EMPTY: {"type": "object", "properties": {}, "additionalProperties": False},
}


class Schemas:
    """Component schemas, made as they are asked for."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.components: dict[str, Schema] = {}
        self._owners: dict[str, str] = {}

    def answer(self, descriptor: Descriptor) -> Schema:
        """A reference to the schema of what we answer."""
        return self._reference(descriptor, descriptor.name, self._answer_object)

    def request(self, descriptor: Descriptor) -> Schema:
        """A reference to the schema of a message within a request."""
        return self._reference(descriptor, f"{descriptor.name}Input", self._request_object)

    def body(self, descriptor: Descriptor, without: frozenset[str]) -> Schema:
        """A reference to the schema of a whole request, less the fields that the path gives."""
        name = descriptor.name.removesuffix("Request") + "Body"
        return self._reference(descriptor, name, lambda d: self._request_object(d, without))

    def _reference(
        self, descriptor: Descriptor, name: str, build: Callable[[Descriptor], Schema]
    ) -> Schema:
        special = _SPECIAL.get(descriptor.full_name)
        if special is not None:
            return dict(special)
        if descriptor.full_name in wellknown.WRAPPERS:
            return self.scalar(descriptor.fields_by_name["value"])
        if self._owners.setdefault(name, descriptor.full_name) != descriptor.full_name:
            raise ContractError(f"two messages are called {name}: the document needs one name each")
        if name not in self.components:
            self.components[name] = {}  # taken first, for types that hold themselves
            self.components[name] = build(descriptor)
        return {"$ref": f"#/components/schemas/{name}"}

    def _answer_object(self, descriptor: Descriptor) -> Schema:
        properties = {}
        for field in descriptor.fields:
            schema = self._value(field, self.answer)
            if field.has_presence and not in_oneof(field):
                schema = _nullable(schema)
            properties[field.json_name] = self._told(schema, field)
        required = [f.json_name for f in descriptor.fields if not in_oneof(f)]
        return self._object(descriptor, properties, required)

    def _request_object(
        self, descriptor: Descriptor, without: frozenset[str] = frozenset()
    ) -> Schema:
        properties, required = {}, []
        for field in descriptor.fields:
            marks = behaviors(field)
            if OUTPUT_ONLY in marks or field.name in without:
                continue
            schema = self._value(field, self.request)
            if REQUIRED in marks:
                required.append(field.json_name)
                if schema.get("type") == "string" and "enum" not in schema:
                    schema["minLength"] = 1
            if IMMUTABLE in marks:
                schema = {**schema, "x-immutable": True}
            properties[field.json_name] = self._told(schema, field)
        return self._object(descriptor, properties, required)

    def _object(
        self, descriptor: Descriptor, properties: dict[str, Schema], required: list[str]
    ) -> Schema:
        schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        comment = self._contract.comment(descriptor.full_name)
        if comment:
            schema["description"] = comment
        if required:
            schema["required"] = required
        if descriptor.fields and all(in_oneof(field) for field in descriptor.fields):
            schema["maxProperties"] = len([o for o in descriptor.oneofs if o.fields])
        return schema

    def _value(self, field: FieldDescriptor, message: Callable[[Descriptor], Schema]) -> Schema:
        if is_map(field):
            value = kind_of_message(field).fields_by_name["value"]
            return {"type": "object", "additionalProperties": self._value(value, message)}
        if field.message_type is not None:
            schema = message(kind_of_message(field))
        else:
            schema = self.scalar(field)
        return {"type": "array", "items": schema} if field.is_repeated else schema

    def scalar(self, field: FieldDescriptor) -> Schema:
        """The schema of one value of a scalar or enum field."""
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return dict(_SCALARS[field.type])

    def _enum(self, enum: EnumDescriptor) -> Schema:
        names = [value.name for value in enum.values]
        told = {name: self._contract.comment(f"{enum.full_name}.{name}") for name in names}
        if any(told.values()):
            return {"type": "string", "enum": names, "x-enum-descriptions": told}
        return {"type": "string", "enum": names}

    def _told(self, schema: Schema, field: FieldDescriptor) -> Schema:
        comment = self._contract.comment(field.full_name)
        return {**schema, "description": comment} if comment else schema


def _nullable(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}
