"""pq.market.v1.MatchingService."""

from __future__ import annotations

import re
from typing import Any

from libs.api import filters
from libs.api.idempotency import RequestKey, once
from libs.api.paging import PageTokens
from libs.api.wire import stamp
from libs.auth import caller
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import invalid, not_found
from pq.market.v1 import matching_pb2 as pb
from pq.market.v1 import matching_pb2_grpc
from services.market import messages
from services.market.servicer import names
from services.market.store import listing, matches
from services.market.store.matches import Product

_NAME = re.compile(
    r"sourceProducts/([a-z0-9-]{1,40}):([A-Za-z0-9._-]{1,80}):([A-Za-z0-9-]{1,40})", re.ASCII
)
_MAX_NOTE = 500


class MatchingServicer(matching_pb2_grpc.MatchingServiceServicer):
    """What sources sell, and which cards that is."""

    def __init__(self, db: Database, tokens: PageTokens, clock: Clock) -> None:
        self._db = db
        self._tokens = tokens
        self._clock = clock

    async def ListSourceProducts(
        self, request: pb.ListSourceProductsRequest, _context: Any
    ) -> pb.ListSourceProductsResponse:
        """A page of products."""
        where = filters.parse(request.filter, matches.FILTERS, first=5)
        waiting = request.waiting if request.HasField("waiting") else None
        page = self._tokens.page(
            method="ListSourceProducts",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(request.filter, str(waiting)),
        )
        after = None
        if page.cursor is not None:
            after = (str(page.cursor[0]), str(page.cursor[1]), str(page.cursor[2]))
        found = await matches.page(self._db, where, after, page.size + 1, waiting=waiting)
        shown, token = self._tokens.cut(
            page, found, lambda last: [last.quotes, last.product, last.printing]
        )
        return pb.ListSourceProductsResponse(
            source_products=map(_product, shown), next_page_token=token
        )

    async def MatchSourceProduct(
        self, request: pb.MatchSourceProductRequest, _context: Any
    ) -> pb.SourceProduct:
        """Says which card a product is."""
        found = _NAME.fullmatch(request.name)
        if found is None:
            told = "expected sourceProducts/, a source, a product and a printing"
            raise invalid("name", told, "wrong_name")
        if len(request.note) > _MAX_NOTE or "\x00" in request.note:
            raise invalid("note", f"expected at most {_MAX_NOTE} characters, none of them NUL")
        card = names.card_id(request.card, "card") if request.card else None
        if card is not None and await listing.number(self._db, card) is None:
            raise invalid("card", f"there is no {messages.card_name(card)}", "unknown_card")
        who, now = caller().subject, self._clock.now()

        async def match(tx: Tx) -> pb.SourceProduct:
            key = (found[2], found[3])
            matched = await matches.match(tx, found[1], key, card, who, request.note, now)
            if matched is None:
                raise not_found(request.name)
            return _product(matched)

        async with self._db.transaction() as tx:
            key = RequestKey(who, "MatchSourceProduct", request.request_id)
            answer = await once(tx, key, request, lambda: match(tx), pb.SourceProduct, now=now)
        return answer.response


def _product(one: Product) -> pb.SourceProduct:
    return pb.SourceProduct(
        name=f"sourceProducts/{one.quotes}:{one.product}:{one.printing}",
        display_name=one.display_name,
        uri=one.url,
        first_day=one.first_day.isoformat(),
        last_day=one.last_day.isoformat(),
        card=messages.card_name(one.card) if one.card else "",
        matched_by=one.matched_by,
        note=one.note,
        match_time=stamp(one.match_time),
    )
