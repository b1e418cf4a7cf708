"""Every replica reads everything: for caches. No group, no inbox, no position kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from enum import Enum
from typing import Any, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from libs.events.log import Fetched, Log, LogError, LogUnavailableError, OutOfRangeError, Reader
from libs.events.record import Partition, Received

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)

_BACKOFF_FIRST, _BACKOFF_LAST = 0.1, 5.0


class Start(Enum):
    """Where a broadcast begins."""

    BEGINNING = "beginning"
    NOW = "now"


class Broadcast(Generic[M]):
    """The events of one type, from all partitions; iterate it once.

    It never ends by itself: while the log is away it tries again, and goes on where it was. An
    event may come more than once. OutOfRangeError is raised when what was still to be read is
    gone: forget what was cached, and start another.

    Whoever keeps a cache by it must ask `age` before using what it has: beyond some seconds the
    cache may be stale, and reads must go to the source.
    """

    def __init__(self, log: Log, message: type[M], start: Start = Start.NOW) -> None:
        self._log = log
        self._message = message
        self._type = str(message.DESCRIPTOR.full_name)
        self._topic = log.catalog.spec(message).topic
        self._start = start
        self._positions: dict[Partition, int] = {}
        self._reader: Reader | None = None
        self._seen = float("-inf")

    def age(self) -> float:
        """Seconds since all that the log had was known to be here; infinite before the first."""
        if self._reader is not None:
            self._seen = max(self._seen, self._reader.contact())
        return time.monotonic() - self._seen

    async def __aiter__(self) -> AsyncIterator[Sequence[Received[M]]]:
        """Batches, in order within each key."""
        backoff = _BACKOFF_FIRST
        while True:
            try:
                self._reader = await self._open()
                async for batch in self._batches(self._reader):
                    backoff = _BACKOFF_FIRST
                    yield batch
            except (LogUnavailableError, TimeoutError) as error:
                log.warning("the log is away", extra={"topic": self._topic, "error": str(error)})
            finally:
                await self._close()
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _BACKOFF_LAST)

    async def _open(self) -> Reader:
        reader = await self._log.read([self._topic])
        try:
            for partition, found in (await self._log.ranges([self._topic])).items():
                first = found.begin if self._start is Start.BEGINNING else found.end
                self._positions.setdefault(partition, first)
                if not found.begin <= self._positions[partition] <= found.end:
                    detail = f"is not in the log, which has {found.begin} to {found.end}"
                    raise OutOfRangeError(partition, self._positions[partition], detail)
                reader.seek(partition, self._positions[partition])
        except LogError:
            await reader.close()
            raise
        return reader

    async def _batches(self, reader: Reader) -> AsyncIterator[Sequence[Received[M]]]:
        while True:
            fetched = await reader.poll(1.0)
            batch = [one for found in fetched.values() for one in self._decoded(found)]
            for partition, found in fetched.items():
                self._positions[partition] = found.next
            if batch:
                yield batch

    def _decoded(self, found: Fetched) -> list[Received[M]]:
        decoded: list[Received[Any]] = []
        for stored in found.records:
            if stored.record.type != self._type:
                continue
            try:
                data = self._message.FromString(stored.record.payload)
            except DecodeError:
                log.exception("event skipped: it cannot be decoded", extra={"topic": self._topic})
                continue
            decoded.append(Received(stored.record, stored.offset, data))
        return decoded

    async def _close(self) -> None:
        if self._reader is not None:
            self.age()
            reader, self._reader = self._reader, None
            await reader.close()
