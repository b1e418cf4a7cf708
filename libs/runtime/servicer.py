"""pq.ops.v1.OpsService, which every service serves for itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from uuid import UUID

from libs.api.wire import stamp
from libs.db import is_transient
from libs.errors import AppError, Kind, not_found
from libs.ids import decode, encode
from pq.ops.v1 import ops_pb2 as pb
from pq.ops.v1 import ops_pb2_grpc

if TYPE_CHECKING:
    from libs.events.consumer import Consumer
    from libs.events.lanes import PartitionStatus
    from libs.events.store_letters import DeadLetter
    from libs.runtime.runtime import Runtime

log = logging.getLogger(__name__)

_LETTER = "dlt"


class OpsServicer(ops_pb2_grpc.OpsServiceServicer):
    """Tells how this process stands, and lets operators mend what waits for a person."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    async def GetStatus(self, _request: pb.GetStatusRequest, _context: Any) -> pb.ServiceStatus:
        """How this process stands; with the database away, as much of it as can be told."""
        rt = self._rt
        status = pb.ServiceStatus(
            service=rt.service, version=rt.version, start_time=stamp(rt.start_time)
        )
        for part in rt.parts.all():
            status.parts.add(name=part.name, ok=part.ok, detail=part.detail)
        for ask in (self._outbox, self._partitions, self._letters):
            try:
                await ask(status)
            except Exception as error:
                if not is_transient(error):
                    raise
                # The parts above say so; an operator wants the rest all the same.
                log.info(
                    "status is incomplete", extra={"error": f"{type(error).__name__}: {error}"}
                )
        return status

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, _context: Any
    ) -> pb.ListDeadLettersResponse:
        """Lists messages that could not be handled, oldest first."""
        from libs.events import store_letters

        tokens = self._rt.page_tokens()
        page = tokens.page(
            method="ListDeadLetters",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
        )
        after = UUID(str(page.cursor[0])) if page.cursor else None
        found: list[DeadLetter] = []
        for database in self._rt.databases:
            found += await store_letters.letters(database, after=after, limit=page.size + 1)
        shown = found[: page.size]
        cursor = [str(shown[-1].id)] if len(found) > page.size else None
        return pb.ListDeadLettersResponse(
            dead_letters=[letter_pb(letter) for letter in shown],
            next_page_token=tokens.next(page, cursor),
        )

    async def RedriveDeadLetter(
        self, request: pb.RedriveDeadLetterRequest, _context: Any
    ) -> pb.DeadLetter:
        """Handles a dead letter once more, for the consumer that gave it up."""
        id = decode(_LETTER, request.id, field="id")
        for consumer in self._rt.consumers:
            try:
                return letter_pb(await consumer.redrive(id))
            except AppError as error:
                if error.kind is not Kind.NOT_FOUND:
                    raise
        raise not_found(request.id)

    async def ResumePartition(
        self, request: pb.ResumePartitionRequest, _context: Any
    ) -> pb.ResumePartitionResponse:
        """Lets a halted partition go on."""
        await self._consumer(request.consumer).resume(request.topic, request.partition)
        return pb.ResumePartitionResponse()

    def _consumer(self, name: str) -> Consumer:
        for consumer in self._rt.consumers:
            if consumer.name == name:
                return consumer
        raise not_found(f"consumer {name[:80]!r} of {self._rt.service}")

    async def _outbox(self, status: pb.ServiceStatus) -> None:
        for relay in self._rt.relays:
            found = await relay.status()
            status.outbox.CopyFrom(
                pb.OutboxStatus(
                    waiting=found.waiting,
                    oldest_time=stamp(found.oldest_time),
                    relaying=found.relaying,
                    error=found.error,
                )
            )

    async def _partitions(self, status: pb.ServiceStatus) -> None:
        for consumer in self._rt.consumers:
            status.partitions.extend(partition_pb(found) for found in await consumer.status())

    async def _letters(self, status: pb.ServiceStatus) -> None:
        from libs.events import store_letters

        for database in self._rt.databases:
            status.dead_letter_count += await store_letters.waiting_letters(database)


def partition_pb(found: PartitionStatus) -> pb.PartitionStatus:
    """A consumer's standing in a partition, as it is shown."""
    return pb.PartitionStatus(
        consumer=found.consumer,
        topic=found.partition.topic,
        partition=found.partition.number,
        position=found.position,
        end=found.end,
        lag=found.lag,
        halt=found.halt,
    )


def letter_pb(letter: DeadLetter) -> pb.DeadLetter:
    """A dead letter, as it is shown."""
    return pb.DeadLetter(
        id=encode(_LETTER, letter.id),
        consumer=letter.consumer,
        topic=letter.record.topic,
        partition=letter.record.partition,
        offset=letter.offset,
        event_id=str(letter.record.id),
        event_type=letter.record.type,
        error=letter.error,
        create_time=stamp(letter.create_time),
        redrive_time=stamp(letter.redrive_time),
    )


def add_ops(rt: Runtime) -> None:
    """Registers it."""
    rt.servicer(ops_pb2_grpc.add_OpsServiceServicer_to_server, OpsServicer(rt))
