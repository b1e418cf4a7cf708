"""What becomes of fetched records: handled together, or the culprit is found and set apart."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence

from libs.clock import Clock
from libs.db import Database
from libs.events import store
from libs.events.batch import Table, Work, attempt
from libs.events.lanes import Lane, Options
from libs.events.letters import Letters, LimitReachedError
from libs.events.log import Member
from libs.events.record import Partition
from libs.events.verdict import Verdict, describe, verdict
from libs.obs import metrics

log = logging.getLogger(__name__)

# A partition that failed so often in a row is tried by itself, with fewer records each time.
ALONE_AFTER = 2


class Handling:
    """Handles fetched records of one member's lanes; the caller sees to it that one does at a time.

    All partitions go into one transaction. When that fails for good, each is tried by itself, and
    then halves of it, until the one message is found: it becomes a dead letter, or its partition
    halts. The others go on.
    """

    def __init__(
        self,
        consumer: str,
        key: int,
        db: Database,
        table: Table,
        letters: Letters,
        member: Member,
        lanes: Mapping[Partition, Lane],
        clock: Clock,
        options: Options,
    ) -> None:
        self._consumer = consumer
        self._key = key
        self._db = db
        self._table = table
        self._letters = letters
        self._member = member
        self._lanes = lanes
        self._clock = clock
        self._options = options

    async def handle(self, works: Sequence[Work]) -> None:
        """Handles what was fetched. What is not handled now is read again later."""
        ours = [work for work in works if self._open(work)]
        together = [work for work in ours if self._lanes[work.partition].failures < ALONE_AFTER]
        if together:
            await self._deliver(together)
        for work in ours:
            lane = self._lanes[work.partition]
            if lane.failures >= ALONE_AFTER and lane.open:
                part = work.head(max(1, len(work.records) >> lane.failures))
                await self._deliver([part])
                if part.next != work.next:
                    self._again(work.partition)

    async def halt(self, partition: Partition, reason: str) -> None:
        """Has the partition stand still until a person resumes it, or another member takes it."""
        lane = self._lanes.get(partition)
        if lane is None:
            return  # given away meanwhile
        self._member.pause(partition)
        await store.halt(self._db, self._key, partition, reason)
        lane.halt = reason
        metrics.CONSUMER_HALTS.labels(self._consumer).inc()
        log.error(
            "partition halted",
            extra={"consumer": self._consumer, "partition": str(partition), "reason": reason},
        )

    def later(self, partition: Partition, error: BaseException) -> None:
        """Tries again after a while; meanwhile nothing of it is read."""
        lane = self._lanes[partition]
        lane.failures += 1
        options = self._options
        delay = min(options.backoff_last, options.backoff_first * 2 ** min(lane.failures - 1, 20))
        # A fifth of jitter: replicas that failed together do not come back together.
        lane.retry_at = time.monotonic() + delay * random.uniform(0.8, 1.2)  # noqa: S311
        self._member.pause(partition)
        if lane.position is not None:
            self._member.seek(partition, lane.position)
        metrics.CONSUMER_RETRIES.labels(self._consumer).inc()
        log.warning(
            "will try again",
            extra={
                "consumer": self._consumer,
                "partition": str(partition),
                "failures": lane.failures,
                "error": describe(error),
            },
        )

    def _open(self, work: Work) -> bool:
        lane = self._lanes.get(work.partition)
        return lane is not None and lane.open and bool(work.records)

    def _again(self, partition: Partition) -> None:
        """Reads on from the position, not from what was fetched."""
        lane = self._lanes[partition]
        if lane.open and lane.position is not None:
            self._member.seek(partition, lane.position)

    async def _deliver(self, works: Sequence[Work]) -> None:
        try:
            await self._attempt(works)
        except Exception as error:  # noqa: BLE001 # what was raised is the decision
            await self._decide(works, error)

    async def _attempt(self, works: Sequence[Work]) -> None:
        began = time.monotonic()
        expected = [(work, self._position(work.partition)) for work in works]
        async with self._db.transaction() as tx:
            repeated = await attempt(tx, self._key, self._table, expected, self._clock.now())
        for work in works:
            lane = self._lanes[work.partition]
            lane.position, lane.failures = work.next, 0
        metrics.CONSUMER_DUPLICATES.labels(self._consumer).inc(repeated)
        took = time.monotonic() - began
        for topic in {work.partition.topic for work in works}:
            count = sum(len(w.records) for w in works if w.partition.topic == topic)
            metrics.MESSAGES_CONSUMED.labels(topic, self._consumer).inc(count)
            metrics.MESSAGES_PROCESS_DURATION.labels(topic, self._consumer).observe(took)

    async def _decide(self, works: Sequence[Work], error: Exception) -> None:
        what = verdict(error)
        if what is Verdict.RETRY:
            for work in works:
                self.later(work.partition, error)
        elif what is Verdict.MOVED:
            for work in works:
                self.later(work.partition, error)
                self._lanes[work.partition].position = None
        elif len(works) > 1:
            for work in works:
                await self._deliver([work])
        else:
            await self._single(works[0], error, what)

    async def _single(self, work: Work, error: Exception, what: Verdict) -> None:
        lane, count = self._lanes[work.partition], len(work.records)
        if count > 1:
            first = work.head(count // 2)
            await self._deliver([first])
            if lane.open and lane.position == first.next:
                await self._deliver([work.tail(count // 2)])
            return
        stored = work.records[0]
        told = f"{describe(error)} [{stored.record.type} {stored.record.id} at {stored.offset}]"
        log.error(
            "event cannot be handled",
            exc_info=error,
            extra={"consumer": self._consumer, "event_id": str(stored.record.id)},
        )
        try:
            if what is Verdict.DEAD:
                await self._bury(work, told)
            else:
                await self.halt(work.partition, told)
        except Exception as failure:
            if verdict(failure) is Verdict.HALT:
                raise
            self.later(work.partition, failure)

    async def _bury(self, work: Work, told: str) -> None:
        lane = self._lanes[work.partition]
        try:
            await self._letters.bury(self._key, work, self._position(work.partition), told)
        except LimitReachedError as error:
            await self.halt(work.partition, describe(error))
        else:
            lane.position, lane.failures = work.next, 0

    def _position(self, partition: Partition) -> int:
        position = self._lanes[partition].position
        assert position is not None
        return position
