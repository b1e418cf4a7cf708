"""An event on its way: what the outbox holds, the log carries and a consumer receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of one topic; the records of one key are all in the same one, in order."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


@dataclass(frozen=True, slots=True)
class Record:
    """One event, serialised.

    `id` is the event's identity: whatever carries the same id is the same event. `time` is when it
    was published, aware, in UTC. `source` is the publisher, a CloudEvents source such as
    "/pq/alerts". `headers` holds what comes on top, such as "traceparent".
    """

    id: UUID
    topic: str
    partition: int
    key: str
    type: str
    time: datetime
    source: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """A record in the log. Offsets strictly increase within a partition; they may have gaps."""

    offset: int
    record: Record


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A record with its message, as a handler gets it."""

    record: Record
    offset: int
    data: M
