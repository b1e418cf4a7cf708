"""pq.delivery.v1.SuppressionService."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from libs.api import filters
from libs.api.idempotency import RequestKey, once
from libs.api.paging import PageTokens
from libs.api.wire import resource_id, resource_name, stamp
from libs.auth import caller
from libs.clock import Clock
from libs.db import Database
from libs.errors import invalid
from pq.delivery.v1 import emails_pb2 as pb
from pq.delivery.v1 import emails_pb2_grpc
from services.delivery.domain.email_addresses import Suppression, SuppressionReason
from services.delivery.handlers.email_suppressions import Suppressions

DEFAULT_PAGE = 50
_LIST_COLUMNS = {
    "email": filters.text("email_key"),
    "reason": filters.choice(
        "reason", {f"SUPPRESSION_REASON_{r.name}": int(r) for r in SuppressionReason}
    ),
    "source": filters.text("source"),
    "create_time": filters.moment("create_time"),
}


class SuppressionServicer(emails_pb2_grpc.SuppressionServiceServicer):
    """Mailboxes that nothing is sent to; for operators."""

    def __init__(
        self, db: Database, suppressions: Suppressions, page_tokens: PageTokens, clock: Clock
    ) -> None:
        self._db = db
        self._suppressions = suppressions
        self._page_tokens = page_tokens
        self._clock = clock

    async def CreateSuppression(
        self, request: pb.CreateSuppressionRequest, _context: Any
    ) -> pb.Suppression:
        """Suppresses a mailbox."""
        asked = request.suppression
        if asked.reason not in (0, *SuppressionReason):
            raise invalid("suppression.reason", "expected a reason that is known", "unknown_reason")
        reason = SuppressionReason(asked.reason or SuppressionReason.MANUAL)
        who = caller().subject

        async with self._db.transaction() as tx:

            async def create() -> pb.Suppression:
                made = await self._suppressions.create(tx, asked.email, reason, asked.detail, who)
                return suppression_pb(made)

            key = RequestKey(who, "CreateSuppression", request.request_id)
            now = self._clock.now()
            return (await once(tx, key, request, create, pb.Suppression, now=now)).response

    async def ListSuppressions(
        self, request: pb.ListSuppressionsRequest, _context: Any
    ) -> pb.ListSuppressionsResponse:
        """Lists suppressions, newest first."""
        page = self._page_tokens.page(
            method="ListSuppressions",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(request.filter,),
        )
        where = filters.parse(request.filter, _LIST_COLUMNS, first=3)
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await self._suppressions.list(where, before, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListSuppressionsResponse(
            suppressions=[suppression_pb(each) for each in shown], next_page_token=token
        )

    async def DeleteSuppression(self, request: pb.DeleteSuppressionRequest, _context: Any) -> Empty:
        """Lifts a suppression."""
        id = resource_id("suppressions", "sup", request.name)
        async with self._db.transaction() as tx:

            async def delete() -> Empty:
                await self._suppressions.delete(tx, id)
                return Empty()

            key = RequestKey(caller().subject, "DeleteSuppression", request.request_id)
            return (await once(tx, key, request, delete, Empty, now=self._clock.now())).response

    async def ImportSuppressions(
        self, request: pb.ImportSuppressionsRequest, _context: Any
    ) -> pb.ImportSuppressionsResponse:
        """Suppresses what a CSV file names."""
        who = caller().subject
        async with self._db.transaction() as tx:

            async def load() -> pb.ImportSuppressionsResponse:
                added, known = await self._suppressions.load(tx, request.csv.data, who)
                return pb.ImportSuppressionsResponse(added_count=added, known_count=known)

            key = RequestKey(who, "ImportSuppressions", request.request_id)
            now = self._clock.now()
            return (
                await once(tx, key, request, load, pb.ImportSuppressionsResponse, now=now)
            ).response


def suppression_pb(suppression: Suppression) -> pb.Suppression:
    """A suppression as it is shown."""
    return pb.Suppression(
        name=resource_name("suppressions", "sup", suppression.id),
        email=suppression.email_key,
        reason=pb.SuppressionReason.ValueType(suppression.reason),
        detail=suppression.detail,
        source=suppression.source,
        create_time=stamp(suppression.create_time),
    )
