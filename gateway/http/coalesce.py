"""One message a call, many calls at once: they travel to delivery together.

While a call is under way those that come after it wait, a few milliseconds, and go as one batch.
Each gets its own answer or its own refusal. Only calls of one identity share a batch: it goes under
their token, and delivery checks what it may do as it does for each alone. Who calls alone waits
for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message

from gateway.http import problem
from gateway.http.backends import Backend, Context
from gateway.transcode.descriptors import ContractError, Rpc
from libs.errors import AppError, Kind, Violation
from pq.delivery.v1 import operations_pb2 as pb

SINGLE = "pq.delivery.v1.SendingService.CreateMessage"
BATCH = "pq.delivery.v1.SendingService.BatchCreateMessages"
# Two under way keep delivery busy while an answer travels; more would only make batches smaller.
UNDER_WAY = 2
SIZE = 100
# Bodies are up to 256 KiB; a batch stays well below what gRPC carries.
BYTES = 2 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Waiting:
    """A call that waits for its batch."""

    request: pb.CreateMessageRequest
    context: Context
    size: int
    answer: asyncio.Future[bytes]


@dataclass(slots=True)
class _Line:
    """The calls of one identity."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    under_way: int = 0


class Coalescing:
    """A backend in front of delivery's SendingService."""

    def __init__(self, inner: Backend, rpcs: Sequence[Rpc]) -> None:
        self._inner = inner
        found = [rpc for rpc in rpcs if rpc.full_name == BATCH]
        if not found:
            raise ContractError(f"there is no {BATCH}")
        self._batch = found[0]
        self._lines: dict[str, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, rpc: Rpc, request: Message, context: Context) -> bytes:
        """See `Backend.call`."""
        if rpc.full_name != SINGLE or not isinstance(request, pb.CreateMessageRequest):
            return await self._inner.call(rpc, request, context)
        line = self._lines.setdefault(context.identity.jwt, _Line())
        if not line.under_way:
            line.under_way += 1
            try:
                return await self._inner.call(rpc, request, context)
            finally:
                self._returned(context.identity.jwt, line)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        line.waiting.append(_Waiting(request, context, request.ByteSize(), future))
        self._pump(context.identity.jwt, line)
        return await future

    def parts(self, rpc: Rpc, request: Message, context: Context) -> AsyncIterator[bytes]:
        """See `Backend.parts`."""
        return self._inner.parts(rpc, request, context)

    def _pump(self, key: str, line: _Line) -> None:
        while line.waiting and line.under_way < UNDER_WAY:
            line.under_way += 1
            task = asyncio.create_task(self._send(key, line, _take(line.waiting)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _returned(self, key: str, line: _Line) -> None:
        line.under_way -= 1
        self._pump(key, line)
        if not line.under_way:
            self._lines.pop(key, None)

    async def _send(self, key: str, line: _Line, batch: Sequence[_Waiting]) -> None:
        try:
            results = await self._ask(batch)
            for one, result in zip(batch, results, strict=True):
                _settle(one, result)
        except BaseException as error:
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(_for_all(error))
                    one.answer.exception()  # whoever asked may be gone
            if not isinstance(error, Exception):
                raise
        finally:
            self._returned(key, line)

    async def _ask(self, batch: Sequence[_Waiting]) -> Sequence[pb.MessageResult]:
        requests = [one.request for one in batch]
        # The batch can be repeated if each of them can.
        safe = requests[0].request_id if all(one.request_id for one in requests) else ""
        answer = await self._inner.call(
            self._batch,
            pb.BatchCreateMessagesRequest(requests=requests, request_id=safe),
            batch[0].context,
        )
        results = pb.BatchCreateMessagesResponse.FromString(answer).results
        if len(results) != len(batch):
            raise AppError(Kind.INTERNAL, "internal", "something went wrong behind this")
        return results


def _take(waiting: deque[_Waiting]) -> list[_Waiting]:
    batch, size = [waiting.popleft()], 0
    size = batch[0].size
    while waiting and len(batch) < SIZE and size + waiting[0].size <= BYTES:
        batch.append(waiting.popleft())
        size += batch[-1].size
    return batch


def _settle(one: _Waiting, result: pb.MessageResult) -> None:
    if one.answer.done():  # whoever asked is gone
        return
    if result.HasField("fault"):
        one.answer.set_exception(problem.in_json_names(_error(result.fault)))
    else:
        one.answer.set_result(result.message.SerializeToString())


def _error(fault: pb.MessageFault) -> AppError:
    kind = Kind.__members__.get(fault.kind, Kind.INTERNAL)
    fields = [Violation(one.field, one.description, one.reason) for one in fault.fields]
    return AppError(kind, fault.reason, fault.message, violations=fields)


def _for_all(error: BaseException) -> BaseException:
    """What each call of a failed batch is told: a copy, for a traceback grows where it is
    raised."""
    if isinstance(error, AppError):
        return AppError(
            error.kind,
            error.reason,
            error.message,
            metadata=error.metadata,
            violations=error.violations,
            retry_after=error.retry_after,
        )
    return AppError(Kind.UNAVAILABLE, "unavailable", "a service behind this is away; try again")
