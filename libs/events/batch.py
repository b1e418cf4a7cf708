"""A batch on its way into one transaction: inbox, positions, handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, TypeAlias
from uuid import UUID

from google.protobuf.message import DecodeError, Message

from libs.db import Tx
from libs.events import store
from libs.events.cloudevents import MALFORMED
from libs.events.record import Partition, Received, Stored
from libs.events.verdict import Poison
from libs.obs import tracing

# Takes the events of one type, in order within each key. What it writes through `tx` and what it
# publishes is committed with the consumer's position, or not at all.
BatchHandler: TypeAlias = Callable[[Tx, Sequence[Received[Any]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Work:
    """Consecutive records of one partition, and the position once they are handled."""

    partition: Partition
    records: Sequence[Stored]
    next: int

    def head(self, count: int) -> Work:
        """The first `count` records only."""
        if count >= len(self.records):
            return self
        return Work(self.partition, self.records[:count], self.records[count].offset)

    def tail(self, count: int) -> Work:
        """All but the first `count` records."""
        return Work(self.partition, self.records[count:], self.next)


class Table:
    """Which handler takes which type."""

    def __init__(self, handlers: Mapping[type[Any], BatchHandler]) -> None:
        self._handlers = {
            str(message.DESCRIPTOR.full_name): (message, handler)
            for message, handler in handlers.items()
        }

    def takes(self, stored: Stored) -> bool:
        """Whether the record is for us; other types of the topic are not."""
        return stored.record.type in self._handlers or stored.record.type == MALFORMED

    async def handle(self, tx: Tx, stored: Sequence[Stored]) -> None:
        """Decodes, and calls the handlers. Raises Poison for what cannot be decoded."""
        for type_name, run in _runs(stored):
            if type_name == MALFORMED:
                raise Poison(run[0].record.headers.get(MALFORMED, "no event"))
            message, handler = self._handlers[type_name]
            await handler(tx, [_decode(message, one) for one in run])


async def attempt(
    tx: Tx,
    consumer: int,
    table: Table,
    works: Sequence[tuple[Work, int]],
    now: datetime,
) -> int:
    """Handles works, each with the position that is expected, in one transaction.

    Answers how many events had been handled before. Raises PositionMovedError,
    Poison, and what the handlers raise.
    """
    ours = [stored for work, _ in works for stored in work.records if table.takes(stored)]
    # The log may carry an event twice; the first time counts.
    first: dict[UUID, Stored] = {}
    for stored in ours:
        first.setdefault(stored.record.id, stored)
    moves = [store.Move(work.partition, expected, work.next) for work, expected in works]
    fresh = await store.claim(tx, consumer, moves, first, now)
    new = [stored for id, stored in first.items() if id in fresh]
    with tracing.span("process events", tracing.SpanKind.CONSUMER, parent=parent_of(new)):
        await table.handle(tx, new)
    return len(ours) - len(new)


def parent_of(stored: Sequence[Stored]) -> tracing.TraceContext | None:
    """The trace that all of them belong to, if it is one."""
    if not stored:
        return None
    parents = {one.record.headers.get(tracing.TRACEPARENT) for one in stored}
    if len(parents) != 1:
        return None
    return tracing.parse(parents.pop(), stored[0].record.headers.get(tracing.TRACESTATE))


def _runs(stored: Sequence[Stored]) -> Iterator[tuple[str, list[Stored]]]:
    """By topic, runs of one type: where a topic carries several types, their order is kept."""
    by_topic: dict[str, list[Stored]] = {}
    for one in stored:
        by_topic.setdefault(one.record.topic, []).append(one)
    for group in by_topic.values():
        for type_name, run in groupby(group, key=lambda one: one.record.type):
            yield type_name, list(run)


def _decode(message: type[Message], stored: Stored) -> Received[Any]:
    try:
        data = message.FromString(stored.record.payload)
    except DecodeError as error:
        raise Poison(f"the payload is no {stored.record.type}: {error}") from error
    return Received(stored.record, stored.offset, data)
