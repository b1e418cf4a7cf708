"""pq.market.v1.IndexService."""

from __future__ import annotations

from datetime import date
from typing import Any

from libs.api.paging import PageTokens
from libs.db import Database
from libs.errors import AppError, Kind, not_found
from pq.market.v1 import indices_pb2 as pb
from pq.market.v1 import indices_pb2_grpc
from services.market import messages
from services.market.domain.money import decimal
from services.market.handlers.constituents import Constituent, of_basket
from services.market.servicer import names
from services.market.store import indices
from services.market.store.indices import Level, Shown


class IndexServicer(indices_pb2_grpc.IndexServiceServicer):
    """Reads of indices."""

    def __init__(self, db: Database, tokens: PageTokens) -> None:
        self._db = db
        self._tokens = tokens

    async def ListIndices(
        self, request: pb.ListIndicesRequest, _context: Any
    ) -> pb.ListIndicesResponse:
        """A page of indices."""
        page = self._tokens.page(
            method="ListIndices",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
        )
        after = None
        if page.cursor is not None:
            number = await indices.number(self._db, str(page.cursor[0]))
            after = (number or 0, str(page.cursor[1]))
        found = await indices.page(self._db, after, page.size + 1)
        shown, token = self._tokens.cut(page, found, lambda last: [last.source, last.id])
        return pb.ListIndicesResponse(indices=map(index_pb, shown), next_page_token=token)

    async def GetIndex(self, request: pb.GetIndexRequest, _context: Any) -> pb.Index:
        """One index."""
        return index_pb(await self._found(request.name, "name"))

    async def ListIndexLevels(
        self, request: pb.ListIndexLevelsRequest, _context: Any
    ) -> pb.ListIndexLevelsResponse:
        """A page of levels."""
        index = await self._found(request.parent, "parent")
        page = self._tokens.page(
            method="ListIndexLevels",
            page_size=request.page_size,
            page_token=request.page_token,
            default=100,
            question=(request.parent,),
        )
        before = date.fromisoformat(str(page.cursor[0])) if page.cursor else None
        found = await indices.levels(self._db, index.source, index.id, before, page.size + 1)
        shown, token = self._tokens.cut(page, found, lambda last: [last.day.isoformat()])
        return pb.ListIndexLevelsResponse(levels=map(_level, shown), next_page_token=token)

    async def ListIndexConstituents(
        self, request: pb.ListIndexConstituentsRequest, _context: Any
    ) -> pb.ListIndexConstituentsResponse:
        """A page of an index's cards on a day."""
        index = await self._found(request.parent, "parent")
        page = self._tokens.page(
            method="ListIndexConstituents",
            page_size=request.page_size,
            page_token=request.page_token,
            default=100,
            question=(request.parent, request.day),
        )
        # Later pages are of the day that the first was of.
        after, told = page.cursor or (0, request.day)
        day = names.optional_day(str(told)) or index.day
        if day is None:
            return pb.ListIndexConstituentsResponse()
        level = await indices.level_at(self._db, index.source, index.id, day)
        basket = await indices.basket(self._db, index.source, index.id, day)
        if level is None or basket is None:
            raise AppError(
                Kind.NOT_FOUND, "not_published", f"{request.parent} has no level of {day}"
            )
        source = await indices.number(self._db, index.source)
        assert source is not None  # it has an index
        found = await of_basket(self._db, source, basket, level, int(after or 0), page.size + 1)
        shown, token = self._tokens.cut(
            page, found, lambda last: [last.number, level.day.isoformat()]
        )
        return pb.ListIndexConstituentsResponse(
            constituents=map(_constituent, shown),
            level=_level(level),
            start_day=basket.start.isoformat(),
            next_page_token=token,
        )

    async def _found(self, name: str, field: str) -> Shown:
        found = await indices.get(self._db, *names.index_id(name, field))
        if found is None:
            raise not_found(name)
        return found


def index_pb(one: Shown) -> pb.Index:
    """An index on the wire."""
    change = None
    if one.level is not None and one.month_ago:
        change = one.level / one.month_ago - 1
    return pb.Index(
        name=f"indices/{one.source}:{one.id}",
        display_name=one.title,
        source=one.source,
        methodology=one.methodology,
        day=one.day.isoformat() if one.day else "",
        level=one.level,
        member_count=one.members or 0,
        change_30=change,
    )


def _constituent(one: Constituent) -> pb.IndexConstituent:
    return pb.IndexConstituent(
        card=messages.card_name(one.card),
        start_price=decimal(one.start_price),
        price=decimal(one.price),
        price_day=one.price_day.isoformat(),
        copies=one.copies,
        points=one.points,
        left=not one.copies,
    )


def _level(one: Level) -> pb.IndexLevel:
    return pb.IndexLevel(
        day=one.day.isoformat(),
        level=one.level,
        divisor=one.divisor,
        member_count=one.members,
        data_version=one.data_version,
    )
