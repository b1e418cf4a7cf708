"""A consumer: reads its share of the partitions, and handles each batch in one transaction.

What was handled is what the service's own database says: the position, moved by compare-and-set,
and the inbox commit with the handler's state and its events. The log's idea of it is a hint.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from libs.clock import Clock, SystemClock
from libs.db import Database
from libs.errors import AppError, Kind
from libs.events import store
from libs.events.batch import BatchHandler, Table, Work
from libs.events.handling import Handling
from libs.events.lanes import Lane, Options, PartitionStatus, Upkeep
from libs.events.letters import Letters
from libs.events.log import Fetched, Log, LogError, Member, OutOfRangeError
from libs.events.record import Partition
from libs.events.standing import Standing
from libs.events.store_letters import DeadLetter
from libs.events.verdict import Poison, Verdict, describe, verdict
from libs.ids import Ids
from libs.obs import metrics

log = logging.getLogger(__name__)


class Consumer:
    """One consumer of one service; `name` is unique in the product, such as "alerts.prices".

    It starts at the beginning of the log. Handlers raise Poison, or AppError of a caller's kind,
    for what can never be handled.
    """

    def __init__(
        self,
        name: str,
        db: Database,
        log: Log,
        handlers: Mapping[type[Any], BatchHandler],
        *,
        clock: Clock | None = None,
        options: Options | None = None,
    ) -> None:
        self.name = name
        self.options = options or Options()
        self._db = db
        self._log = log
        self._clock = clock or SystemClock()
        self._topics = sorted({log.catalog.spec(message).topic for message in handlers})
        self._table = Table(handlers)
        self._letters = Letters(name, db, Ids(self._clock), self._clock, self.options)
        self._standing = Standing(name, db, log, self._topics)
        self._lanes: dict[Partition, Lane] = {}
        self._busy = asyncio.Lock()
        self._member: Member | None = None
        self._hinted: dict[Partition, int] = {}
        self._upkeep: Upkeep = Upkeep(self.options)

    # --- for the service

    async def run(self) -> None:
        """Consumes until cancelled; then finishes the batch under way and leaves the group."""
        backoff = self.options.backoff_first
        while True:
            began = time.monotonic()
            try:
                await self._serve()
            except Exception as error:
                passes = verdict(error) is Verdict.RETRY
                log.log(
                    logging.WARNING if passes else logging.ERROR,
                    "consumer starts over",
                    exc_info=None if passes else error,
                    extra={"consumer": self.name, "error": describe(error)},
                )
            if time.monotonic() - began > self.options.backoff_last:
                backoff = self.options.backoff_first
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, self.options.backoff_last)

    async def status(self) -> list[PartitionStatus]:
        """How it stands in every partition, whoever owns it."""
        return await self._standing.status()

    async def resume(self, topic: str, partition: int) -> None:
        """Lets a halted partition go on; see `Standing.resume`."""
        await self._standing.resume(Partition(topic, partition), self._clock.now())

    async def redrive(self, letter: UUID) -> DeadLetter:
        """Handles a dead letter once more, for this consumer alone. Raises AppError."""
        key = await self._standing.key()
        try:
            return await self._letters.redrive(key, letter, self._table)
        except Poison as error:
            raise AppError(Kind.PRECONDITION, "still_poison", str(error)) from error

    # --- for the log: see libs.events.log.Owner

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """These are ours; where they stand is read before anything of them is."""
        for partition in partitions:
            if self._member is not None:
                self._member.pause(partition)
            self._lanes[partition] = Lane()

    async def revoked(self, partitions: Collection[Partition]) -> None:
        """Waits for the batch under way, and tells the log how far we are."""
        async with self._busy:
            await self._hint(set(partitions))
            for partition in partitions:
                self._lanes.pop(partition, None)

    # --- inside

    async def _serve(self) -> None:
        """One membership, from joining to leaving."""
        key = await self._standing.key()
        self._lanes.clear()
        member = await self._log.join(self.name, self._topics, self)
        self._member = member
        for partition in self._lanes:
            member.pause(partition)
        handling = Handling(
            self.name,
            key,
            self._db,
            self._table,
            self._letters,
            member,
            self._lanes,
            self._clock,
            self.options,
        )
        try:
            while True:
                await self._tend(member, handling)
                await self._step(member, handling)
        finally:
            await member.close()
            self._member = None

    async def _step(self, member: Member, handling: Handling) -> None:
        try:
            fetched = await member.poll(self._patience())
        except OutOfRangeError as error:
            await handling.halt(error.partition, describe(error))
            return
        if not fetched:
            return
        under_way = asyncio.ensure_future(self._handle(handling, fetched))
        try:
            await asyncio.shield(under_way)
        except asyncio.CancelledError:
            # What is in flight is finished before we go.
            await asyncio.wait([under_way], timeout=self.options.drain)
            under_way.cancel()
            raise

    async def _handle(self, handling: Handling, fetched: Mapping[Partition, Fetched]) -> None:
        async with self._busy:
            await handling.handle(
                [Work(partition, found.records, found.next) for partition, found in fetched.items()]
            )

    async def _tend(self, member: Member, handling: Handling) -> None:
        """What is due besides handling."""
        now = time.monotonic()
        for partition, lane in self._lanes.items():
            if lane.retry_at and lane.retry_at <= now and not lane.halt:
                lane.retry_at = 0.0
                if lane.position is not None:
                    member.resume(partition)
        try:
            await self._place(member, handling)
            if self._upkeep.due("hint", self.options.hint_every):
                await self._hint(set(self._lanes))
            if self._upkeep.due("watch", self.options.watch_every):
                await self._watch()
            if self._upkeep.due("survey", self.options.survey_every):
                await self._survey()
        except Exception as error:
            if verdict(error) is not Verdict.RETRY:
                raise
            log.warning("upkeep failed", extra={"consumer": self.name, "error": describe(error)})
            await asyncio.sleep(self.options.backoff_first)

    def _patience(self) -> float:
        """How long a poll may wait: until the next lane is due."""
        now, patience = time.monotonic(), self.options.poll
        for lane in self._lanes.values():
            if lane.retry_at and not lane.halt:
                patience = min(patience, max(0.01, lane.retry_at - now))
        return patience if self._lanes else min(patience, 0.1)

    async def _place(self, member: Member, handling: Handling) -> None:
        """Reads where new lanes stand, and starts to read them there."""
        async with self._busy:
            new = {
                partition: lane
                for partition, lane in self._lanes.items()
                if lane.position is None and not lane.halt and not lane.retry_at
            }
            if not new:
                return
            key = await self._standing.key()
            fresh = [partition for partition, lane in new.items() if lane.fresh]
            await store.unhalt(self._db, key, fresh)
            ranges = await self._log.ranges({partition.topic for partition in new})
            starts = {partition: ranges[partition].begin for partition in new}
            for place in await store.place(self._db, key, starts):
                lane, found = new[place.partition], ranges[place.partition]
                lane.fresh, lane.halt = False, place.halt
                if lane.halt:
                    continue
                if not found.begin <= place.position <= found.end:
                    detail = f"is not in the log, which has {found.begin} to {found.end}"
                    error = OutOfRangeError(place.partition, place.position, detail)
                    await handling.halt(place.partition, describe(error))
                    continue
                lane.position = place.position
                member.seek(place.partition, place.position)
                member.resume(place.partition)

    async def _watch(self) -> None:
        """Notices that a person resumed what had halted."""
        if not any(lane.halt for lane in self._lanes.values()):
            return
        for place in await store.places(self._db, await self._standing.key()):
            lane = self._lanes.get(place.partition)
            if lane is not None and lane.halt and not place.halt:
                lane.position, lane.failures, lane.retry_at, lane.halt = None, 0, 0.0, ""

    async def _survey(self) -> None:
        """Measures the lag, notes what is up to date, and prunes the inbox."""
        when = self._clock.now()
        ranges = await self._log.ranges(self._topics)
        lanes = {p: lane for p, lane in self._lanes.items() if lane.position is not None}
        for topic in self._topics:
            lag = sum(
                ranges[p].end - (lane.position or 0)
                for p, lane in lanes.items()
                if p.topic == topic
            )
            metrics.CONSUMER_LAG.labels(self.name, topic).set(lag)
        done = [p for p, lane in lanes.items() if (lane.position or 0) >= ranges[p].end]
        key = await self._standing.key()
        if done:
            await store.caught_up(self._db, key, done, when)
        if self._upkeep.due("prune", self.options.prune_every):
            await store.prune(self._db, key, self.options.inbox_retention)

    async def _hint(self, partitions: set[Partition]) -> None:
        """Tells the log how far we are, where that changed; the log does without, if need be."""
        moved = {
            partition: lane.position
            for partition, lane in self._lanes.items()
            if partition in partitions
            and lane.position is not None
            and self._hinted.get(partition) != lane.position
        }
        if not moved or self._member is None:
            return
        with suppress(LogError):
            await self._member.commit(moved)
            self._hinted |= moved
