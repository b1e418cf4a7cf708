"""pq.delivery.v1.MessageService."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.api import filters
from libs.api.paging import PageTokens
from libs.api.wire import resource_id
from libs.db import Database
from libs.errors import AppError, not_found
from pq.delivery.v1 import delivery_pb2 as pb
from pq.delivery.v1 import delivery_pb2_grpc
from services.delivery.domain.model import DeliveryState
from services.delivery.servicer.account import readable
from services.delivery.servicer.show import attempt_pb, message_pb
from services.delivery.store import messages

DEFAULT_PAGE = 50


def _message_id(literal: str) -> UUID:
    try:
        return resource_id("messages", "msg", literal)
    except AppError as error:
        raise ValueError("a message, messages/msg_…") from error


# A message's outcome is that of the delivery that went worst: failed, expired, cancelled, pending,
# sent, delivered.
_LIST_COLUMNS = {
    "event_type": filters.text("event_type"),
    "create_time": filters.moment("create_time"),
    "name": filters.Column("id", _message_id, filters.EQUAL),
    "outcome": filters.choice(
        "(select d.state from deliveries d where d.message = messages.id"
        " order by array_position(array[3, 4, 5, 1, 6, 2], d.state::int) limit 1)",
        {f"DELIVERY_STATE_{state.name}": int(state) for state in DeliveryState},
    ),
}


def _account_id(literal: str) -> UUID:
    try:
        return resource_id("accounts", "acc", literal)
    except AppError as error:
        raise ValueError("an account, accounts/acc_…") from error


_ACCOUNT = filters.Column("account", _account_id, filters.EQUAL)


class MessageServicer(delivery_pb2_grpc.MessageServiceServicer):
    """What the calling account was told; another's messages do not exist. Operators read all."""

    def __init__(self, db: Database, page_tokens: PageTokens) -> None:
        self._db = db
        self._page_tokens = page_tokens

    async def GetMessage(self, request: pb.GetMessageRequest, _context: Any) -> pb.Message:
        """Gets a message with its deliveries."""
        id = resource_id("messages", "msg", request.name)
        message = await messages.get(self._db, readable(), id)
        if message is None:
            raise not_found(request.name)
        return message_pb(message, (await messages.deliveries(self._db, [id]))[id])

    async def ListMessages(
        self, request: pb.ListMessagesRequest, _context: Any
    ) -> pb.ListMessagesResponse:
        """Lists messages, newest first."""
        who = readable()
        page = self._page_tokens.page(
            method="ListMessages",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(str(who), request.filter),
        )
        columns = _LIST_COLUMNS if who else {**_LIST_COLUMNS, "account": _ACCOUNT}
        where = filters.parse(request.filter, columns, first=5)
        before = None
        if page.cursor:
            before = (datetime.fromisoformat(str(page.cursor[0])), UUID(str(page.cursor[1])))
        found = await messages.list_page(self._db, who, where, before, page.size + 1)
        shown, token = self._page_tokens.cut(
            page, found, lambda last: [last.create_time.isoformat(), str(last.id)]
        )
        deliveries = await messages.deliveries(self._db, [message.id for message in shown])
        return pb.ListMessagesResponse(
            messages=[message_pb(message, deliveries[message.id]) for message in shown],
            next_page_token=token,
        )

    async def ListAttempts(
        self, request: pb.ListAttemptsRequest, _context: Any
    ) -> pb.ListAttemptsResponse:
        """Lists a message's attempts, oldest first."""
        id = resource_id("messages", "msg", request.parent, field="parent")
        if await messages.get(self._db, readable(), id) is None:
            raise not_found(request.parent)
        page = self._page_tokens.page(
            method="ListAttempts",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(str(id),),
        )
        after = UUID(str(page.cursor[0])) if page.cursor else None
        found = await messages.attempts(self._db, id, after, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListAttemptsResponse(
            attempts=[attempt_pb(attempt) for attempt in shown],
            next_page_token=token,
        )
