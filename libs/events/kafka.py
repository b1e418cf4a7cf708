"""The event log on Apache Kafka.

Relays are fenced by the epoch of a transactional id, without transactions: see docs/adr/0010. What
a group committed is a hint only, positions are the consumer's own business, so nothing here commits
by itself, and a position that Kafka does not have is an error, never a reset.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    TopicAlreadyExistsError,
    for_code,
)

from libs.events.catalog import Catalog
from libs.events.kafka_faults import REQUEST_TIMEOUT, START_TIMEOUT, unavailable
from libs.events.kafka_producer import KafkaProducer
from libs.events.kafka_reader import KafkaMember, KafkaReader, native, new_consumer
from libs.events.log import (
    RETENTION,
    LogUnavailableError,
    Member,
    Owner,
    PartitionCountError,
    Range,
    Reader,
    Timing,
)
from libs.events.record import Partition

log = logging.getLogger(__name__)

# How long a topic may take from its creation until it can be described.
SETTLE = 10.0


class KafkaLog:
    """See `libs.events.log.Log`. `kafka://host:port,host:port?replication=3`."""

    def __init__(self, url: str, catalog: Catalog, timing: Timing) -> None:
        servers, _, query = url.removeprefix("kafka://").rstrip("/").partition("?")
        if not servers or "/" in servers:
            raise ValueError("expected kafka://host:port[,host:port…][?replication=N]")
        options = dict(parse_qsl(query, strict_parsing=bool(query)))
        self.catalog = catalog
        self.timing = timing
        self.servers = servers.split(",")
        # 0: as many as the cluster has brokers, at most three.
        self._replication = int(options.pop("replication", "0"))
        if options:
            raise ValueError(f"an event log has no option {', '.join(options)}")
        self._ready: set[str] = set()
        self._lock = asyncio.Lock()
        self._asker: Any = None

    async def produce(self, source: UUID) -> KafkaProducer:
        """See `Log.produce`."""
        await self.ensure(self.catalog.topics)
        async with unavailable():
            return await KafkaProducer.open(self.servers, source)

    async def join(self, consumer: str, topics: Collection[str], owner: Owner) -> Member:
        """See `Log.join`. Waits for the group's first assignment."""
        await self.ensure(topics)
        async with unavailable():
            return await KafkaMember.join(self.servers, self.timing, consumer, topics, owner)

    async def read(self, topics: Collection[str]) -> Reader:
        """See `Log.read`."""
        await self.ensure(topics)
        partitions = [p for topic in topics for p in self.catalog.partitions(topic)]
        async with unavailable():
            return await KafkaReader.open(self.servers, partitions)

    async def ranges(self, topics: Collection[str]) -> Mapping[Partition, Range]:
        """See `Log.ranges`."""
        await self.ensure(topics)
        partitions = [p for topic in topics for p in self.catalog.partitions(topic)]
        async with self._lock, unavailable():
            try:
                if self._asker is None:
                    self._asker = new_consumer(self.servers)
                    async with asyncio.timeout(START_TIMEOUT):
                        await self._asker.start()
                asked = [native(partition) for partition in partitions]
                begins = await self._asker.beginning_offsets(asked)
                ends = await self._asker.end_offsets(asked)
            except BaseException:
                asker, self._asker = self._asker, None
                await asker.stop()
                raise
        return {p: Range(begins[native(p)], ends[native(p)]) for p in partitions}

    async def close(self) -> None:
        """See `Log.close`."""
        if self._asker is not None:
            await self._asker.stop()
            self._asker = None

    async def ensure(self, topics: Collection[str]) -> None:
        """Creates topics that are not there, and checks the partition counts of all.

        Raises PartitionCountError, LogUnavailableError.
        """
        async with self._lock, unavailable():
            missing = sorted(set(topics) - self._ready)
            if not missing:
                return
            admin = AIOKafkaAdminClient(
                bootstrap_servers=self.servers, request_timeout_ms=int(REQUEST_TIMEOUT * 1000)
            )
            try:
                async with asyncio.timeout(START_TIMEOUT):
                    await admin.start()
                    await self._create(admin, missing)
                    await self._check(admin, missing)
            finally:
                await admin.close()
            self._ready |= set(missing)

    async def _create(self, admin: Any, topics: Sequence[str]) -> None:
        there = set(await admin.list_topics())
        brokers = len((await admin.describe_cluster())["brokers"])
        replication = self._replication or min(3, brokers)
        configs = {
            "retention.ms": str(int(RETENTION.total_seconds() * 1000)),
            # acks=all means nothing when one replica may be all.
            "min.insync.replicas": str(max(1, replication - 1)),
        }
        new = [
            NewTopic(
                name=topic,
                num_partitions=self.catalog.topics[topic],
                replication_factor=replication,
                topic_configs=configs,
            )
            for topic in topics
            if topic not in there
        ]
        if not new:
            return
        answer = await admin.create_topics(new)
        for topic, code, *told in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"{topic}: {told}")
        log.info("topics created", extra={"topics": [topic.name for topic in new]})

    async def _check(self, admin: Any, topics: Sequence[str]) -> None:
        ends = time.monotonic() + SETTLE
        while True:
            found = await admin.describe_topics(list(topics))
            counts = {t["topic"]: len(t["partitions"]) for t in found if not t["error_code"]}
            if len(counts) == len(topics) or time.monotonic() > ends:
                break
            await asyncio.sleep(0.1)
        for topic in topics:
            if topic not in counts:
                raise LogUnavailableError(f"{topic} cannot be described")
            if counts[topic] != self.catalog.topics[topic]:
                raise PartitionCountError(
                    f"{topic} has {counts[topic]} partitions in the log,"
                    f" {self.catalog.topics[topic]} by contract"
                )
