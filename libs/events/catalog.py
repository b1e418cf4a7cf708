"""Which events there are, read from the contracts: the option `pq.events.v1.event`."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from libs.events.record import Partition

DLQ = ".dlq"

_KEY_TYPES = {
    FieldDescriptor.CPPTYPE_STRING: str,
    FieldDescriptor.CPPTYPE_INT32: int,
    FieldDescriptor.CPPTYPE_INT64: int,
    FieldDescriptor.CPPTYPE_UINT32: int,
    FieldDescriptor.CPPTYPE_UINT64: int,
}


class CatalogError(Exception):
    """The contracts contradict themselves, or a message is no event."""


@dataclass(frozen=True)
class EventSpec:
    """Where events of one message type go."""

    topic: str
    key_field: str
    partitions: int
    message: type[Message]

    @cached_property
    def type(self) -> str:
        """The message's full name, such as "pq.alerts.v1.AlertTriggered"."""
        return str(self.message.DESCRIPTOR.full_name)


def partition_for(key: str, partitions: int) -> int:
    """The partition of a key: CRC-32 of its UTF-8 bytes, modulo the count. The same in every log.

    Never change it: events of one key would be in two partitions, and no longer in order.
    """
    return crc32(key.encode()) % partitions


class Catalog:
    """All events, by message type and by topic."""

    def __init__(self, specs: Iterable[EventSpec]) -> None:
        self.specs = tuple(sorted(specs, key=lambda spec: (spec.topic, spec.type)))
        self._by_type = {spec.type: spec for spec in self.specs}
        if len(self._by_type) != len(self.specs):
            raise CatalogError("an event type is there twice")
        for spec in self.specs:
            _check(spec)
        counts: dict[str, int] = {}
        for spec in self.specs:
            if counts.setdefault(spec.topic, spec.partitions) != spec.partitions:
                raise CatalogError(f"{spec.topic}: {spec.type} says another number of partitions")
        self._counts = counts

    @classmethod
    def load(cls, package: str = "pq") -> Catalog:
        """Reads every generated `*_events_pb2` module under `package`."""
        specs = []
        for module in _event_modules(package):
            for descriptor in module.DESCRIPTOR.message_types_by_name.values():
                spec = _spec(descriptor)
                if spec is not None:
                    specs.append(spec)
        return cls(specs)

    @cached_property
    def topics(self) -> Mapping[str, int]:
        """The partition count of each topic, dead letter topics included."""
        return {**self._counts, **{topic + DLQ: n for topic, n in self._counts.items()}}

    def spec(self, message: type[Message] | Message) -> EventSpec:
        """The spec of a message or a message class. Raises CatalogError where it is no event."""
        name = message.DESCRIPTOR.full_name
        spec = self._by_type.get(name)
        if spec is None:
            raise CatalogError(f"{name} is no event: it has no option pq.events.v1.event")
        return spec

    def partitions(self, topic: str) -> list[Partition]:
        """The partitions of a topic. Raises CatalogError for an unknown one."""
        if topic not in self.topics:
            raise CatalogError(f"no event goes to {topic}")
        return [Partition(topic, number) for number in range(self.topics[topic])]

    def table(self) -> str:
        """The events as a Markdown table, for the documents."""
        rows = ["| topic | partitions | key | event |", "|---|---|---|---|"]
        rows += [
            f"| `{spec.topic}` | {spec.partitions} | `{spec.key_field}` | `{spec.type}` |"
            for spec in self.specs
        ]
        return "\n".join(rows) + "\n"


def key_of(spec: EventSpec, message: Message) -> str:
    """The key of one message, as text; empty where a text key is not set."""
    return str(getattr(message, spec.key_field))


def _check(spec: EventSpec) -> None:
    key = spec.message.DESCRIPTOR.fields_by_name.get(spec.key_field)
    if not spec.topic or spec.topic.endswith(DLQ):
        raise CatalogError(f"{spec.type}: {spec.topic!r} cannot be a topic")
    if spec.partitions < 1:
        raise CatalogError(f"{spec.type}: {spec.partitions} partitions")
    if key is None or key.is_repeated or key.cpp_type not in _KEY_TYPES:
        raise CatalogError(f"{spec.type}: {spec.key_field!r} is no string or integer field")


def _event_modules(package: str) -> Iterator[Any]:
    # The generated package has no __init__ files, so pkgutil does not walk into it.
    # And it may be in two places of the path, installed and generated beside the sources.
    names = {
        ".".join((package, *path.relative_to(folder).with_suffix("").parts))
        for folder in importlib.import_module(package).__path__
        for path in Path(folder).rglob("*_events_pb2.py")
    }
    for name in sorted(names):
        yield importlib.import_module(name)


def _spec(descriptor: Descriptor) -> EventSpec | None:
    from pq.events.v1 import event_pb2

    options = descriptor.GetOptions()
    if not options.HasExtension(event_pb2.event):
        return None
    event = options.Extensions[event_pb2.event]
    return EventSpec(
        topic=event.topic,
        key_field=event.key_field,
        partitions=event.partitions,
        message=message_factory.GetMessageClass(descriptor),
    )
