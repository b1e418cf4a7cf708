"""The comments of the contracts, by the full name of what they stand at."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import descriptor_pb2

# Field numbers of FileDescriptorProto and its parts, which make up a SourceCodeInfo path.
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_FIELD, _NESTED, _NESTED_ENUM, _ONEOF = 2, 3, 4, 8
_VALUE = 2
_METHOD = 2


def comments_of(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """(full name, leading comment) of whatever in the file has one."""
    names = dict(_paths(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        if name and location.leading_comments:
            lines = (line.strip() for line in location.leading_comments.splitlines())
            yield name, "\n".join(lines).strip()


def _paths(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for i, message in enumerate(file.message_type):
        yield from _message_paths(message, (_MESSAGE, i), f"{file.package}.{message.name}")
    for i, enum in enumerate(file.enum_type):
        yield from _enum_paths(enum, (_ENUM, i), f"{file.package}.{enum.name}")
    for i, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield (_SERVICE, i), name
        for j, method in enumerate(service.method):
            yield (_SERVICE, i, _METHOD, j), f"{name}.{method.name}"


def _message_paths(
    message: descriptor_pb2.DescriptorProto, path: tuple[int, ...], name: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, name
    for i, item in enumerate(message.field):
        yield (*path, _FIELD, i), f"{name}.{item.name}"
    for i, oneof in enumerate(message.oneof_decl):
        yield (*path, _ONEOF, i), f"{name}.{oneof.name}"
    for i, nested in enumerate(message.nested_type):
        yield from _message_paths(nested, (*path, _NESTED, i), f"{name}.{nested.name}")
    for i, enum in enumerate(message.enum_type):
        yield from _enum_paths(enum, (*path, _NESTED_ENUM, i), f"{name}.{enum.name}")


def _enum_paths(
    enum: descriptor_pb2.EnumDescriptorProto, path: tuple[int, ...], name: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, name
    for i, value in enumerate(enum.value):
        yield (*path, _VALUE, i), f"{name}.{value.name}"
