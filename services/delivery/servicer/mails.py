"""pq.delivery.v1.MailService: the development sink."""

from __future__ import annotations

import asyncio
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from libs.api.paging import PageTokens
from libs.api.wire import stamp
from libs.errors import invalid, not_found
from pq.delivery.v1 import providers_pb2 as pb
from pq.delivery.v1 import providers_pb2_grpc
from services.delivery.channels.email.sink import Sink, html_of
from services.delivery.servicer.emails import HTML

DEFAULT_PAGE = 50
_EML = "message/rfc822"


class MailServicer(providers_pb2_grpc.MailServiceServicer):
    """What the sink holds; nothing where there is none."""

    def __init__(self, sink: Sink | None, page_tokens: PageTokens) -> None:
        self._sink = sink
        self._page_tokens = page_tokens

    async def ListMails(self, request: pb.ListMailsRequest, _context: Any) -> pb.ListMailsResponse:
        """Lists messages, newest first."""
        page = self._page_tokens.page(
            method="ListMails",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
        )
        if self._sink is None:
            return pb.ListMailsResponse()
        before = str(page.cursor[0]) if page.cursor else ""
        found = await asyncio.to_thread(self._sink.page, before, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [last.id])
        mails = [
            pb.Mail(
                name=f"mails/{caught.id}",
                recipient=caught.recipient,
                subject=caught.subject,
                create_time=stamp(caught.create_time),
            )
            for caught in shown
        ]
        return pb.ListMailsResponse(mails=mails, next_page_token=token)

    async def GetMail(self, request: pb.GetMailRequest, _context: Any) -> HttpBody:
        """Gets a message, or its HTML part."""
        head, _, id = request.name.partition("/")
        if head != "mails":
            raise invalid("name", f"expected mails/…; got {request.name[:60]!r}", "wrong_name")
        data = None
        if self._sink is not None:
            data = await asyncio.to_thread(self._sink.read, id)
        if data is None:
            raise not_found(request.name)
        if request.html:
            return HttpBody(content_type=HTML, data=html_of(data).encode())
        return HttpBody(content_type=_EML, data=data)
