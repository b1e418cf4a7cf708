"""Reading from Apache Kafka: by group, or everything."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from libs.events.cloudevents import MALFORMED, MalformedRecordError, from_headers
from libs.events.kafka_faults import REQUEST_TIMEOUT, START_TIMEOUT, unavailable
from libs.events.log import Fetched, Owner, Timing
from libs.events.record import Partition, Record, Stored

log = logging.getLogger(__name__)

POLL_RECORDS = 4_000
PARTITION_BYTES = 1_048_576
# A fetch that waits answers at once when something comes; but what is resumed waits for its end.
FETCH_WAIT = 0.25
# How long members may take to drain before a group goes on without them.
REBALANCE_TIMEOUT = 60.0
# aiokafka leaves the group when nobody polled for so long.
POLL_INTERVAL = 300.0
STOP_TIMEOUT = 10.0


def new_consumer(servers: Sequence[str], **options: Any) -> Any:
    """A consumer that commits nothing by itself, and resets nothing."""
    return AIOKafkaConsumer(
        bootstrap_servers=list(servers),
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        max_partition_fetch_bytes=PARTITION_BYTES,
        fetch_max_wait_ms=int(FETCH_WAIT * 1000),
        request_timeout_ms=int(REQUEST_TIMEOUT * 1000),
        metadata_max_age_ms=60_000,
        **options,
    )


def native(partition: Partition) -> TopicPartition:
    """The partition in Kafka's words."""
    return TopicPartition(partition.topic, partition.number)


class KafkaReader:
    """See `libs.events.log.Reader`."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._next: dict[Partition, int] = {}
        self._contact = float("-inf")

    @classmethod
    async def open(cls, servers: Sequence[str], partitions: Sequence[Partition]) -> KafkaReader:
        """Reads these partitions."""
        consumer = new_consumer(servers)
        reader = cls(consumer)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await consumer.start()
            consumer.assign([native(partition) for partition in partitions])
        except BaseException:
            await consumer.stop()
            raise
        return reader

    async def poll(self, timeout: float) -> Mapping[Partition, Fetched]:
        """See `Reader.poll`."""
        async with unavailable():
            try:
                found = await self._consumer.getmany(
                    timeout_ms=int(timeout * 1000), max_records=POLL_RECORDS
                )
            except NoOffsetForPartitionError:
                return {}  # nobody has told yet where to start
        fetched: dict[Partition, Fetched] = {}
        for where, records in found.items():
            partition = Partition(where.topic, where.partition)
            if partition not in self._next:
                continue  # read from the hint, before we were told where to start
            self._next[partition] = records[-1].offset + 1
            stored = [Stored(record.offset, record_of(record)) for record in records]
            fetched[partition] = Fetched(stored, self._next[partition])
        self._note_contact()
        return fetched

    def seek(self, partition: Partition, offset: int) -> None:
        """See `Reader.seek`."""
        with suppress(IllegalStateError):  # no longer ours
            self._consumer.seek(native(partition), offset)
            self._next[partition] = offset

    def pause(self, partition: Partition) -> None:
        """See `Reader.pause`."""
        with suppress(IllegalStateError):
            self._consumer.pause(native(partition))

    def resume(self, partition: Partition) -> None:
        """See `Reader.resume`."""
        with suppress(IllegalStateError):
            self._consumer.resume(native(partition))

    def contact(self) -> float:
        """See `Reader.contact`."""
        return self._contact

    async def close(self) -> None:
        """See `Reader.close`."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._consumer.stop()
        except Exception:  # whatever it says, we are done with it
            log.warning("consumer did not stop in order", exc_info=True)

    def _note_contact(self) -> None:
        """Takes down when the broker last answered for every partition, if all was read."""
        oldest = None
        for where in self._consumer.assignment():
            high = self._consumer.highwater(where)
            said = self._consumer.last_poll_timestamp(where)
            if high is None or said is None:
                return
            if self._next.get(Partition(where.topic, where.partition), -1) < high:
                return
            oldest = said if oldest is None else min(oldest, said)
        if oldest is not None:
            # aiokafka tells in milliseconds of the wall clock.
            self._contact = time.monotonic() - max(0.0, time.time() - oldest / 1000)


class KafkaMember(KafkaReader, ConsumerRebalanceListener):  # type: ignore[misc] # untyped
    """See `libs.events.log.Member`."""

    def __init__(self, consumer: Any, owner: Owner) -> None:
        super().__init__(consumer)
        self._owner = owner

    @classmethod
    async def join(
        cls,
        servers: Sequence[str],
        timing: Timing,
        group: str,
        topics: Collection[str],
        owner: Owner,
    ) -> KafkaMember:
        """Joins the group, and waits for a first assignment."""
        consumer = new_consumer(
            servers,
            group_id=group,
            session_timeout_ms=int(timing.expiry * 1000),
            heartbeat_interval_ms=int(timing.heartbeat * 1000),
            rebalance_timeout_ms=int(REBALANCE_TIMEOUT * 1000),
            max_poll_interval_ms=int(POLL_INTERVAL * 1000),
        )
        member = cls(consumer, owner)
        consumer.subscribe(sorted(topics), listener=member)
        try:
            async with asyncio.timeout(START_TIMEOUT + REBALANCE_TIMEOUT):
                await consumer.start()
        except BaseException:
            await member.close()
            raise
        return member

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """See `Member.commit`."""
        ours = self._consumer.assignment()
        offsets = {
            native(partition): OffsetAndMetadata(position, "")
            for partition, position in positions.items()
            if native(partition) in ours
        }
        if offsets:
            async with unavailable():
                await self._consumer.commit(offsets)

    async def close(self) -> None:
        """See `Reader.close`: drains, and leaves the group."""
        await self.on_partitions_revoked(self._consumer.assignment())
        await super().close()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Kafka's word for `Owner.revoked`."""
        partitions = [Partition(where.topic, where.partition) for where in revoked]
        if partitions:
            await self._owner.revoked(partitions)
        for partition in partitions:
            self._next.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Kafka's word for `Owner.assigned`."""
        for where in assigned:
            self._consumer.pause(where)  # until we are told where to start
        await self._owner.assigned([Partition(where.topic, where.partition) for where in assigned])


def record_of(found: Any) -> Record:
    """Our record; one of type MALFORMED for what is none of ours."""
    try:
        return from_headers(found.topic, found.partition, found.key, found.value, found.headers)
    except MalformedRecordError as error:
        place = f"{found.topic}/{found.partition}/{found.offset}"
        tail = int.from_bytes(sha256(place.encode()).digest()[:10]) & ((1 << 62) - 1)
        return Record(
            id=UUID(int=max(0, found.timestamp) << 80 | 8 << 76 | 0b10 << 62 | tail),
            topic=found.topic,
            partition=found.partition,
            key=(found.key or b"").decode("utf-8", "replace").replace("\0", ""),
            type=MALFORMED,
            time=datetime.fromtimestamp(max(0, found.timestamp) / 1000, UTC),
            source="unknown",
            payload=found.value or b"",
            headers={MALFORMED: str(error)},
        )
