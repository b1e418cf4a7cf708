"""How a consumer stands, whichever replica owns which partition: what operators see and mend."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

from libs.db import Database
from libs.errors import AppError, Kind
from libs.events import store
from libs.events.lanes import PartitionStatus
from libs.events.log import Log, LogError, OutOfRangeError
from libs.events.record import Partition
from libs.events.verdict import describe

log = logging.getLogger(__name__)


class Standing:
    """What the service's database and the log say of one consumer."""

    def __init__(self, name: str, db: Database, log: Log, topics: Sequence[str]) -> None:
        self._name = name
        self._db = db
        self._log = log
        self._topics = topics
        self._number: int | None = None
        self._ends: dict[Partition, int] = {}

    async def key(self) -> int:
        """The consumer's number in the service's database."""
        if self._number is None:
            self._number = await store.consumer_id(self._db, self._name)
        return self._number

    async def status(self) -> list[PartitionStatus]:
        """How it stands in every partition, whoever owns it."""
        places = {
            place.partition: place for place in await store.places(self._db, await self.key())
        }
        try:
            async with asyncio.timeout(5):
                ranges = await self._log.ranges(self._topics)
            self._ends |= {partition: found.end for partition, found in ranges.items()}
        except (LogError, TimeoutError) as error:
            log.warning("the log does not say where it ends", extra={"error": describe(error)})
        return [
            PartitionStatus(
                self._name,
                place.partition,
                place.position,
                self._ends.get(partition, place.position),
                place.halt,
            )
            for partition, place in places.items()
        ]

    async def resume(self, where: Partition, now: datetime) -> None:
        """Lets a halted partition go on, in whichever replica has it.

        One that halted because the log no longer has its records goes on at the log's beginning:
        whoever resumes it accepts the gap. Raises AppError (PRECONDITION) where it has not halted.
        """
        places = {p.partition: p for p in await store.places(self._db, await self.key())}
        halt = places[where].halt if where in places else ""
        gone = halt.startswith(OutOfRangeError.__name__)
        done = halt and await store.resume(self._db, await self.key(), where, now, from_start=gone)
        if not done:
            raise AppError(
                Kind.PRECONDITION, "not_halted", f"{self._name} has not halted in {where}"
            )
        log.warning("partition resumed", extra={"consumer": self._name, "partition": str(where)})
