"""Messages of google.protobuf that JSON shows as one value instead of as an object."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.transcode import scalars
from gateway.transcode.descriptors import ContractError
from gateway.transcode.scalars import Read, Refused, wrong

WRAPPERS = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
EMPTY = "google.protobuf.Empty"
_MASK_PATH = re.compile(r"[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*")


def json_name(name: str) -> str:
    """lowerCamelCase, as protoc makes it."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def proto_name(name: str) -> str:
    """The inverse of `json_name` for names that follow the style guide."""
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


def read_field_mask(value: Any) -> FieldMask:
    """Comma-separated paths in lowerCamelCase."""
    if type(value) is not str:
        raise wrong('field paths as text, such as "note,deliverWithin"', value)
    paths = value.split(",") if value else []
    for path in paths:
        if not _MASK_PATH.fullmatch(path):
            raise Refused(
                "expected field paths in lowerCamelCase, separated by commas", "bad_format"
            )
    return FieldMask(paths=[proto_name(path) for path in paths])


def write_field_mask(value: FieldMask) -> str:
    """The inverse of `read_field_mask`."""
    return ",".join(".".join(json_name(part) for part in p.split(".")) for p in value.paths)


READERS: dict[str, Read] = {
    Timestamp.DESCRIPTOR.full_name: scalars.read_timestamp,
    Duration.DESCRIPTOR.full_name: scalars.read_duration,
    FieldMask.DESCRIPTOR.full_name: read_field_mask,
}
WRITERS: dict[str, Any] = {
    Timestamp.DESCRIPTOR.full_name: scalars.write_timestamp,
    Duration.DESCRIPTOR.full_name: scalars.write_duration,
    FieldMask.DESCRIPTOR.full_name: write_field_mask,
}


def check_served(descriptor: Descriptor) -> None:
    """Raises ContractError for a message of google.protobuf that has no rule here."""
    name = descriptor.full_name
    known = name in READERS or name in WRAPPERS or name == EMPTY
    if name.startswith("google.protobuf.") and not known:
        raise ContractError(f"{name} has no JSON form in the gateway")
