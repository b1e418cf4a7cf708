"""pq.delivery.v1.SendingService: messages of one's own, and what is done about deliveries."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from libs.api.idempotency import RequestKey, once
from libs.api.paging import PageTokens
from libs.api.wire import moment, resource_id
from libs.auth import caller
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, invalid, not_found
from libs.ids import decode
from pq.delivery.v1 import delivery_pb2 as shared
from pq.delivery.v1 import operations_pb2 as pb
from pq.delivery.v1 import operations_pb2_grpc
from services.delivery.domain.model import Message
from services.delivery.domain.operations import Operation, OperationKind
from services.delivery.handlers.insight import Insight
from services.delivery.handlers.messages import Messages, NewMessage
from services.delivery.handlers.operations import Operations
from services.delivery.servicer.account import account, account_of, readable
from services.delivery.servicer.show import delivery_pb, message_pb
from services.delivery.servicer.show_operations import (
    fault_pb,
    operation_pb,
    statistics_pb,
    timeline_pb,
)
from services.delivery.store import operations

DEFAULT_PAGE = 50
MAX_BATCH = 1000


class SendingServicer(operations_pb2_grpc.SendingServiceServicer):
    """What is another account's does not exist."""

    def __init__(
        self,
        db: Database,
        messages: Messages,
        doing: Operations,
        insight: Insight,
        page_tokens: PageTokens,
        clock: Clock,
    ) -> None:
        self._db = db
        self._messages = messages
        self._doing = doing
        self._insight = insight
        self._page_tokens = page_tokens
        self._clock = clock

    async def CreateMessage(
        self, request: pb.CreateMessageRequest, _context: Any
    ) -> shared.Message:
        """Makes a message."""
        [made] = await self._messages.create([_asked(request)])
        if isinstance(made, AppError):
            raise made
        return _message_pb(made)

    async def BatchCreateMessages(
        self, request: pb.BatchCreateMessagesRequest, _context: Any
    ) -> pb.BatchCreateMessagesResponse:
        """Makes messages; each has a result of its own."""
        if not 1 <= len(request.requests) <= MAX_BATCH:
            raise invalid("requests", f"expected 1 to {MAX_BATCH}; got {len(request.requests)}")
        asked = [
            _try(one, f"{request.request_id}#{at}" if request.request_id else "")
            for at, one in enumerate(request.requests)
        ]
        made = iter(
            await self._messages.create([one for one in asked if isinstance(one, NewMessage)])
        )
        return pb.BatchCreateMessagesResponse(
            results=[_result_pb(one if isinstance(one, AppError) else next(made)) for one in asked]
        )

    async def SendTestMessage(
        self, request: pb.SendTestMessageRequest, _context: Any
    ) -> shared.Message:
        """Sends a test message."""
        return _message_pb(await self._messages.send_test(account(), _endpoint(request.endpoint)))

    async def RedeliverMessage(
        self, request: pb.RedeliverMessageRequest, _context: Any
    ) -> shared.Delivery:
        """Sends a delivery again."""
        return delivery_pb(await self._doing.redeliver(account(), *_delivery(request.delivery)))

    async def CancelDelivery(
        self, request: pb.CancelDeliveryRequest, _context: Any
    ) -> shared.Delivery:
        """Calls a delivery off."""
        return delivery_pb(await self._doing.cancel(account(), *_delivery(request.delivery)))

    async def RecoverEndpoint(
        self, request: pb.RecoverEndpointRequest, _context: Any
    ) -> pb.DeliveryOperation:
        """Begins to send again what failed."""
        since = _time(request, "since")
        return await self._begin("RecoverEndpoint", request, OperationKind.RECOVER, since, None)

    async def ReplayMessages(
        self, request: pb.ReplayMessagesRequest, _context: Any
    ) -> pb.DeliveryOperation:
        """Begins to send all messages of a time."""
        start, end = _time(request, "start_time"), None
        if request.HasField("end_time"):
            end = request.end_time
        return await self._begin("ReplayMessages", request, OperationKind.REPLAY, start, end)

    async def CancelWaiting(
        self, request: pb.CancelWaitingRequest, _context: Any
    ) -> pb.DeliveryOperation:
        """Begins to call off what waits."""
        return await self._begin("CancelWaiting", request, OperationKind.CANCEL, None, None)

    async def GetDeliveryOperation(
        self, request: pb.GetDeliveryOperationRequest, _context: Any
    ) -> pb.DeliveryOperation:
        """Gets an operation."""
        found = await operations.get(self._db, account(), _operation(request.name))
        return operation_pb(_there(found, request.name))

    async def ListDeliveryOperations(
        self, request: pb.ListDeliveryOperationsRequest, _context: Any
    ) -> pb.ListDeliveryOperationsResponse:
        """Lists operations, newest first."""
        who = account()
        page = self._page_tokens.page(
            method="ListDeliveryOperations",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(str(who),),
        )
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await operations.list_page(self._db, who, before, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListDeliveryOperationsResponse(
            delivery_operations=[operation_pb(one) for one in shown], next_page_token=token
        )

    async def CancelDeliveryOperation(
        self, request: pb.CancelDeliveryOperationRequest, _context: Any
    ) -> pb.DeliveryOperation:
        """Stops an operation."""
        async with self._db.transaction() as tx:
            found = await operations.stop(tx, account(), _operation(request.name))
        return operation_pb(_there(found, request.name))

    async def GetEndpointStatistics(
        self, request: pb.GetEndpointStatisticsRequest, _context: Any
    ) -> pb.EndpointStatistics:
        """Gets how an endpoint has done."""
        id = _endpoint(_parent(request.name, "endpoints", "statistics"), field="name")
        return statistics_pb(request.name, await self._insight.statistics(readable(), id))

    async def GetMessageTimeline(
        self, request: pb.GetMessageTimelineRequest, _context: Any
    ) -> pb.MessageTimeline:
        """Gets what happened to a message."""
        id = resource_id("messages", "msg", _parent(request.name, "messages", "timeline"))
        return timeline_pb(request.name, await self._insight.timelines(readable(), id))

    async def _begin(
        self,
        method: str,
        request: Any,
        kind: OperationKind,
        start: Timestamp | None,
        end: Timestamp | None,
    ) -> pb.DeliveryOperation:
        who, endpoint = account(), _endpoint(request.endpoint)

        async def begin(tx: Tx) -> pb.DeliveryOperation:
            times = (moment(time) if time is not None else None for time in (start, end))
            return operation_pb(await self._doing.begin(tx, who, kind, endpoint, *times))

        key = RequestKey(caller().subject, method, request.request_id)
        async with self._db.transaction() as tx:
            answer = await once(
                tx, key, request, lambda: begin(tx), pb.DeliveryOperation, now=self._clock.now()
            )
        return answer.response


def _asked(request: pb.CreateMessageRequest, id: str = "") -> NewMessage:
    asked = request.message
    if not request.HasField("message"):
        raise invalid("message", "expected a message", "required")
    return NewMessage(
        account=account_of(asked.account, "message.account"),
        event_type=asked.event_type,
        payload=asked.payload,
        deliver_by=moment(asked.deliver_by) if asked.HasField("deliver_by") else None,
        order_key=asked.ordering_key,
        coalesce_key=asked.coalesce_key,
        request_id=request.request_id or id,
    )


def _try(request: pb.CreateMessageRequest, id: str) -> NewMessage | AppError:
    try:
        return _asked(request, id)
    except AppError as error:
        return error


def _message_pb(message: Message) -> shared.Message:
    return message_pb(message, [])


def _result_pb(made: Message | AppError) -> pb.MessageResult:
    if isinstance(made, AppError):
        return pb.MessageResult(fault=fault_pb(made))
    return pb.MessageResult(message=_message_pb(made))


def _there(found: Operation | None, name: str) -> Operation:
    if found is None:
        raise not_found(name)
    return found


def _endpoint(name: str, field: str = "endpoint") -> UUID:
    return resource_id("endpoints", "ep", name, field=field)


def _operation(name: str) -> UUID:
    return resource_id("deliveryOperations", "dop", name)


def _parent(name: str, collection: str, tail: str) -> str:
    parent, slash, last = name.rpartition("/")
    if not slash or last != tail:
        raise invalid("name", f"expected {collection}/…/{tail}", "wrong_name")
    return parent


def _delivery(name: str) -> tuple[UUID, UUID]:
    """The ids of message and delivery."""
    message, _, delivery = name.partition("/deliveries/")
    id = resource_id("messages", "msg", message, field="delivery")
    return id, decode("dlv", delivery, field="delivery")


def _time(request: Any, field: str) -> Timestamp:
    if not request.HasField(field):
        raise invalid(field, "expected a time", "required")
    time: Timestamp = getattr(request, field)
    return time
