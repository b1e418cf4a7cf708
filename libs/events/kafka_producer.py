"""Appending to Apache Kafka, under an epoch that brokers check."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from libs.events.cloudevents import to_headers
from libs.events.kafka_faults import REQUEST_TIMEOUT, START_TIMEOUT, unavailable
from libs.events.record import Record

# One batch of one partition; a single record may be larger, see outbox.MAX_PAYLOAD.
BATCH_BYTES = 900_000


class KafkaProducer:
    """See `libs.events.log.Producer`."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer

    @classmethod
    async def open(cls, servers: Sequence[str], source: UUID) -> KafkaProducer:
        """A producer under a new epoch of the source's transactional id."""
        producer = AIOKafkaProducer(
            bootstrap_servers=list(servers),
            transactional_id=f"pq-relay-{source}",
            acks="all",
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=int(REQUEST_TIMEOUT * 1000),
        )
        opened = cls(producer)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await producer.start()
        except BaseException:
            await opened.close()
            raise
        # The id has given us an epoch, which brokers check on every batch. Without it the producer
        # is an idempotent one: no transactions, at a tenth of the latency. See docs/adr/0010.
        producer._txn_manager.transactional_id = None  # noqa: SLF001
        return opened

    async def append(self, records: Sequence[Record]) -> None:
        """See `Producer.append`.

        One batch of a partition at a time: were the first to fail and the second to land, a key's
        events would change places.
        """
        queues: dict[tuple[str, int], deque[Record]] = {}
        for record in records:
            queues.setdefault((record.topic, record.partition), deque()).append(record)
        async with unavailable():
            while queues:
                sent = [
                    await self._producer.send_batch(self._fill(queue), topic, partition=number)
                    for (topic, number), queue in queues.items()
                ]
                for outcome in await asyncio.gather(*sent, return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        raise outcome
                queues = {at: queue for at, queue in queues.items() if queue}

    async def close(self) -> None:
        """See `Producer.close`. Sends nothing more."""
        producer = self._producer
        producer._message_accumulator.fail_all(KafkaError("dropped"))  # noqa: SLF001
        # Requests under way end with their connections; stop() would wait for their answers.
        await producer.client.close()
        await producer.stop()

    def _fill(self, queue: deque[Record]) -> Any:
        """Moves as many records as one batch takes."""
        batch = self._producer.create_batch()
        while queue:
            record = queue[0]
            added = batch.append(
                timestamp=int(record.time.timestamp() * 1000),
                key=record.key.encode(),
                value=record.payload,
                headers=to_headers(record),
            )
            if added is None:
                break
            queue.popleft()
        batch.close()
        return batch
