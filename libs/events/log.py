"""The event log: one interface, two engines.

`postgres://…` is the embedded default, `kafka://host:port[,host:port…]` the production engine.
Both keep the order of a key, lose nothing that was appended, and pass one contract suite. A log is
opened without being reached: whoever uses it meets LogUnavailableError until it is there, and tries
again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from libs.events.catalog import Catalog
from libs.events.record import Partition, Record, Stored

RETENTION = timedelta(days=7)


class LogError(Exception):
    """Anything a log refuses."""


class LogUnavailableError(LogError):
    """The log cannot be reached, or cannot do it now; the same may well succeed later."""


class FencedError(LogError):
    """A newer relay of this source is at work; nothing more of ours can be appended."""


class PartitionCountError(LogError):
    """The log has another number of partitions than the contract: keys would be in two places."""


class OutOfRangeError(LogError):
    """Records between a position and what the log still has are gone, or the log is another one."""

    def __init__(self, partition: Partition, position: int, detail: str) -> None:
        super().__init__(f"{partition}: position {position} {detail}")
        self.partition = partition
        self.position = position


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records of one partition in order, and the offset to go on from."""

    records: Sequence[Stored]
    next: int


@dataclass(frozen=True, slots=True)
class Range:
    """The lowest offset that is still there, and one past the highest."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Timing:
    """How soon the dead are noticed, in seconds: a member that is silent for `expiry` is."""

    heartbeat: float = 2.0
    expiry: float = 10.0


class Producer(Protocol):
    """Appends for one source, under one epoch."""

    async def append(self, records: Sequence[Record]) -> None:
        """Appends all, in order within each partition; durable when it returns.

        After any error some may have been appended; open another producer and start over from the
        first that is not known to be. Raises FencedError, LogUnavailableError.
        """
        ...

    async def close(self) -> None:
        """Lets go of it; does not raise."""
        ...


class Reader(Protocol):
    """Reads partitions from where it is told to."""

    async def poll(self, timeout: float) -> Mapping[Partition, Fetched]:
        """What is there, within limits; waits up to `timeout` seconds for something.

        Only partitions that were told where to start and are not paused are read. Raises
        OutOfRangeError, LogUnavailableError.
        """
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Goes on from `offset`."""
        ...

    def pause(self, partition: Partition) -> None:
        """Reads no more of it for now."""
        ...

    def resume(self, partition: Partition) -> None:
        """Reads it again."""
        ...

    def contact(self) -> float:
        """When all that the log had was last known to have come, on the monotonic clock."""
        ...

    async def close(self) -> None:
        """Lets go of it; does not raise."""
        ...


class Member(Reader, Protocol):
    """A reader that shares a consumer's partitions with the others of its group."""

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Tells the log how far the consumer is: a hint. Raises LogUnavailableError."""
        ...


class Owner(Protocol):
    """What a member tells of its share."""

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """These are ours; each needs a `seek` before it is read."""
        ...

    async def revoked(self, partitions: Collection[Partition]) -> None:
        """These are given away once this returns: finish what is in flight."""
        ...


class Log(Protocol):
    """The event log."""

    catalog: Catalog

    async def produce(self, source: UUID) -> Producer:
        """A new epoch for this source: whatever older ones still send can no longer land."""
        ...

    async def join(self, consumer: str, topics: Collection[str], owner: Owner) -> Member:
        """Takes part in a consumer's group."""
        ...

    async def read(self, topics: Collection[str]) -> Reader:
        """A reader of all partitions of these topics, without a group."""
        ...

    async def ranges(self, topics: Collection[str]) -> Mapping[Partition, Range]:
        """What the log has of these topics."""
        ...

    async def close(self) -> None:
        """Lets go of the log."""
        ...
