"""pq.market.v1.MarketService."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from libs.api import filters
from libs.api.paging import PageTokens
from libs.db import Database
from libs.errors import invalid, not_found
from pq.market.v1 import market_pb2 as pb
from pq.market.v1 import market_pb2_grpc
from services.market import messages
from services.market.domain.faults import FieldError
from services.market.domain.imports import Snapshot
from services.market.domain.prices import read_day
from services.market.handlers.browsing import Browsing
from services.market.handlers.release import Release
from services.market.servicer import names
from services.market.servicer.search import search
from services.market.store import history, listing, snapshots

_SNAPSHOT = re.compile(r"snapshots/([a-z0-9-]{1,40})-(\d{4}-\d\d-\d\d)-v([1-9]\d{0,8})", re.ASCII)
_QUOTE_ORDERS = {"": True, "day desc": True, "day": False}


class MarketServicer(market_pb2_grpc.MarketServiceServicer):
    """Reads of the market."""

    def __init__(
        self, db: Database, tokens: PageTokens, browsing: Browsing, release: Release
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._browsing = browsing
        self._release = release

    async def SearchCards(
        self, request: pb.SearchCardsRequest, _context: Any
    ) -> pb.SearchCardsResponse:
        """Cards by what they say, are and cost."""
        return await search(self._db, self._tokens, self._browsing, request)

    async def ListCards(self, request: pb.ListCardsRequest, _context: Any) -> pb.ListCardsResponse:
        """A page of cards."""
        name = names.words(request.order_by) or "name"
        order = listing.ORDERS.get(name)
        if order is None:
            raise names.wrong_order(request.order_by, listing.ORDERS)
        where = filters.parse(request.filter, listing.FILTERS, first=2)
        page = self._tokens.page(
            method="ListCards",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(request.filter, name),
        )
        after = None if page.cursor is None else (page.cursor[0], page.cursor[1])
        found, more = await listing.page(self._db, order, where, after, page.size)
        return pb.ListCardsResponse(
            cards=map(messages.card, found),
            next_page_token=self._tokens.next(page, more),
        )

    async def GetCard(self, request: pb.GetCardRequest, _context: Any) -> pb.Card:
        """One card."""
        card = await listing.get(self._db, names.card_id(request.name, "name"))
        if card is None:
            raise not_found(request.name)
        return messages.card(card)

    async def ListQuotes(
        self, request: pb.ListQuotesRequest, _context: Any
    ) -> pb.ListQuotesResponse:
        """A page of a card's quotes."""
        id, order = names.card_id(request.parent, "parent"), names.words(request.order_by)
        descending = _QUOTE_ORDERS.get(order)
        if descending is None:
            raise names.wrong_order(request.order_by, ("day", "day desc"))
        where = filters.parse(request.filter, history.FILTERS, first=3)
        page = self._tokens.page(
            method="ListQuotes",
            page_size=request.page_size,
            page_token=request.page_token,
            default=100,
            question=(id, request.filter, str(descending)),
        )
        card = await listing.number(self._db, id)
        if card is None:
            raise not_found(request.parent)
        after = None
        if page.cursor is not None:
            day, source = page.cursor
            after = (date.fromisoformat(str(day)), int(source or 0))
        found, more = await history.page(
            self._db, card, where, after, page.size, descending=descending
        )
        cursor = None if more is None else (more[0].isoformat(), more[1])
        return pb.ListQuotesResponse(
            quotes=map(messages.quote, found), next_page_token=self._tokens.next(page, cursor)
        )

    async def ListSnapshots(
        self, request: pb.ListSnapshotsRequest, _context: Any
    ) -> pb.ListSnapshotsResponse:
        """A page of versions."""
        where = filters.parse(request.filter, snapshots.FILTERS, first=5)
        page = self._tokens.page(
            method="ListSnapshots",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(request.filter,),
        )
        after = None
        if page.cursor is not None:
            day, version, source = page.cursor
            after = (date.fromisoformat(str(day)), int(version or 0), int(source or 0))
        found, more = await snapshots.page(self._db, where, after, page.size)
        cursor = None if more is None else (more[0].isoformat(), more[1], more[2])
        return pb.ListSnapshotsResponse(
            snapshots=map(messages.snapshot, found),
            next_page_token=self._tokens.next(page, cursor),
        )

    async def GetSnapshot(self, request: pb.GetSnapshotRequest, _context: Any) -> pb.Snapshot:
        """One version of a day."""
        return messages.snapshot(await self._snapshot(request.name))

    async def ReleaseSnapshot(
        self, request: pb.ReleaseSnapshotRequest, _context: Any
    ) -> pb.Snapshot:
        """Publishes a blocked version after all."""
        await self._release(await self._snapshot(request.name))
        return messages.snapshot(await self._snapshot(request.name))

    async def _snapshot(self, name: str) -> Snapshot:
        expected = invalid(
            "name",
            "expected snapshots/{source}-{day}-v{version}, such as"
            f" snapshots/tcgplayer-2025-06-01-v1; got {name[:80]!r}",
            "wrong_name",
        )
        match = _SNAPSHOT.fullmatch(name)
        if match is None:
            raise expected
        try:
            day = read_day(match[2])
        except FieldError:
            raise expected from None
        found = await snapshots.get(self._db, match[1], day, int(match[3]))
        if found is None:
            raise not_found(name)
        return found
