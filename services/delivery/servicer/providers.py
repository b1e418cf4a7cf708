"""pq.delivery.v1.ProviderService."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from libs.api import filters
from libs.api.paging import PageTokens
from libs.api.wire import resource_name, stamp
from pq.delivery.v1 import providers_pb2 as pb
from pq.delivery.v1 import providers_pb2_grpc
from services.delivery.channels.email.webhooks.request import Webhook
from services.delivery.domain.email_events import Stored
from services.delivery.handlers.email_events import EmailEvents
from services.delivery.inbound.received import Bounces
from services.delivery.sending.settled import delivery_id, delivery_name

DEFAULT_PAGE = 50
_LIST_COLUMNS = {
    "provider": filters.text("provider"),
    "provider_kind": filters.text("provider_kind"),
    "recipient": filters.text("recipient"),
    "code": filters.text("code"),
    "receive_time": filters.moment("receive_time"),
}


class ProviderServicer(providers_pb2_grpc.ProviderServiceServicer):
    """What mail providers tell."""

    def __init__(self, events: EmailEvents, bounces: Bounces, page_tokens: PageTokens) -> None:
        self._events = events
        self._bounces = bounces
        self._page_tokens = page_tokens

    async def ReceiveEvents(self, request: pb.ReceiveEventsRequest, _context: Any) -> Empty:
        """Takes a provider's webhook."""
        webhook = Webhook(request.body.data, dict(request.headers), request.client_address)
        await self._events.receive(request.provider, webhook)
        return Empty()

    async def ReceiveBounce(
        self, request: pb.ReceiveBounceRequest, _context: Any
    ) -> pb.ReceiveBounceResponse:
        """Takes a bounce message."""
        received = await self._bounces.received(request.body.data, "api")
        return pb.ReceiveBounceResponse(events=[event_pb(each) for each in received.events])

    async def ListEmailEvents(
        self, request: pb.ListEmailEventsRequest, _context: Any
    ) -> pb.ListEmailEventsResponse:
        """Lists what was told, newest first."""
        page = self._page_tokens.page(
            method="ListEmailEvents",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(request.filter,),
        )
        where = filters.parse(request.filter, _LIST_COLUMNS, first=3)
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await self._events.list(where, before, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListEmailEventsResponse(
            email_events=[event_pb(each) for each in shown], next_page_token=token
        )


def event_pb(stored: Stored) -> pb.EmailEvent:
    """An event as it is shown."""
    event = stored.event
    delivery = ""
    if event.reference is not None:
        message = resource_name("messages", "msg", event.reference[0])
        delivery = delivery_name(message, delivery_id(*event.reference))
    return pb.EmailEvent(
        name=resource_name("emailEvents", "eev", stored.id),
        provider=event.provider,
        kind=pb.EmailEventKind.ValueType(event.kind),
        provider_kind=event.provider_kind,
        delivery=delivery,
        recipient=event.recipient,
        code=event.code,
        detail=event.detail,
        occur_time=stamp(event.occur_time),
        receive_time=stamp(stored.receive_time),
    )
