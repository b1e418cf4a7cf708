"""pq.market.v1.WatchlistService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from libs.api.idempotency import RequestKey, once
from libs.api.masks import masked
from libs.api.paging import PageTokens
from libs.api.wire import resource_id, resource_name, stamp
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import invalid, not_found
from pq.market.v1 import watchlists_pb2 as pb
from pq.market.v1 import watchlists_pb2_grpc
from services.market import messages
from services.market.domain.quotes import Card
from services.market.handlers.watchlists import MAX_ITEMS, PREFIX, Change, Watchlists, scope
from services.market.servicer import names
from services.market.servicer.account import account as calling_account
from services.market.store import listing, watchlists
from services.market.store.watchlists import Watchlist

M = TypeVar("M", bound=Message)

_MAX_NAME, _MAX_NOTE = 100, 500
_FIELDS = ("display_name", "items")


class WatchlistServicer(watchlists_pb2_grpc.WatchlistServiceServicer):
    """The calling account's watchlists."""

    def __init__(self, db: Database, tokens: PageTokens, clock: Clock, handler: Watchlists) -> None:
        self._db = db
        self._tokens = tokens
        self._clock = clock
        self._handler = handler

    async def CreateWatchlist(
        self, request: pb.CreateWatchlistRequest, _context: Any
    ) -> pb.Watchlist:
        """Creates a watchlist."""
        account, asked = calling_account(), _change(request.watchlist, _FIELDS)

        async def create(tx: Tx) -> pb.Watchlist:
            made = await self._handler.create(tx, account, asked)
            return await self._shown(tx, made)

        return await self._once("CreateWatchlist", request, create, pb.Watchlist)

    async def GetWatchlist(self, request: pb.GetWatchlistRequest, _context: Any) -> pb.Watchlist:
        """Gets a watchlist."""
        found = await watchlists.get(self._db, calling_account(), _id(request.name))
        if found is None:
            raise not_found(request.name)
        return await self._shown(self._db, found)

    async def ListWatchlists(
        self, request: pb.ListWatchlistsRequest, _context: Any
    ) -> pb.ListWatchlistsResponse:
        """A page of watchlists."""
        account = calling_account()
        page = self._tokens.page(
            method="ListWatchlists",
            page_size=request.page_size,
            page_token=request.page_token,
            default=20,
            question=(str(account),),
        )
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await watchlists.page(self._db, account, before, page.size + 1)
        shown, token = self._tokens.cut(page, found, lambda last: [str(last.id)])
        cards = await self._cards(self._db, shown)
        return pb.ListWatchlistsResponse(
            watchlists=[_watchlist(one, cards) for one in shown], next_page_token=token
        )

    async def UpdateWatchlist(
        self, request: pb.UpdateWatchlistRequest, _context: Any
    ) -> pb.Watchlist:
        """Changes a watchlist."""
        account, asked = calling_account(), request.watchlist
        id, change = (
            _id(asked.name, "watchlist.name"),
            _change(asked, masked(request.update_mask.paths, request.watchlist, _FIELDS)),
        )

        async def update(tx: Tx) -> pb.Watchlist:
            made = await self._handler.update(tx, account, id, asked.etag, change)
            return await self._shown(tx, made)

        return await self._once("UpdateWatchlist", request, update, pb.Watchlist)

    async def DeleteWatchlist(self, request: pb.DeleteWatchlistRequest, _context: Any) -> Empty:
        """Deletes a watchlist."""
        account, id = calling_account(), _id(request.name)

        async def delete(tx: Tx) -> Empty:
            await self._handler.delete(tx, account, id, request.etag)
            return Empty()

        return await self._once("DeleteWatchlist", request, delete, Empty)

    async def _once(
        self, method: str, request: Any, act: Callable[[Tx], Awaitable[M]], answer: type[M]
    ) -> M:
        key = RequestKey(scope(calling_account()), method, request.request_id)
        async with self._db.transaction() as tx:
            found = await once(tx, key, request, lambda: act(tx), answer, now=self._clock.now())
        return found.response

    async def _cards(self, reader: Any, shown: Sequence[Watchlist]) -> Mapping[int, Card]:
        numbers = {item.card for one in shown for item in one.items}
        return await listing.by_number(reader, sorted(numbers))

    async def _shown(self, reader: Any, found: Watchlist) -> pb.Watchlist:
        return _watchlist(found, await self._cards(reader, [found]))


def _id(name: str, field: str = "name") -> UUID:
    return resource_id("watchlists", PREFIX, name, field=field)


def _change(asked: pb.Watchlist, fields: Sequence[str]) -> Change:
    name, items = None, None
    if "display_name" in fields:
        name = asked.display_name.strip()
        _check("watchlist.display_name", name, 1, _MAX_NAME)
    if "items" in fields:
        items = _items(asked)
    return Change(name, items)


def _items(asked: pb.Watchlist) -> list[tuple[str, str]]:
    if len(asked.items) > MAX_ITEMS:
        told = f"expected at most {MAX_ITEMS}; got {len(asked.items)}"
        raise invalid("watchlist.items", told, "too_many")
    items: dict[str, str] = {}
    for place, item in enumerate(asked.items):
        field = f"watchlist.items[{place}]"
        id = names.card_id(item.card, f"{field}.card")
        if id in items:
            raise invalid(f"{field}.card", "expected each card once", "duplicate")
        _check(f"{field}.note", item.note, 0, _MAX_NOTE)
        items[id] = item.note
    return list(items.items())


def _check(field: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most or "\x00" in text:
        told = f"expected {least} to {most} characters, none of them NUL; got {len(text)}"
        raise invalid(field, told, "wrong_length")


def _watchlist(found: Watchlist, cards: Mapping[int, Card]) -> pb.Watchlist:
    shown = pb.Watchlist(
        name=resource_name("watchlists", PREFIX, found.id),
        display_name=found.display_name,
        create_time=stamp(found.create_time),
        update_time=stamp(found.update_time),
        etag=found.etag,
    )
    for item in found.items:
        card = cards[item.card]
        shown.items.add(
            card=messages.card_name(card.id),
            note=item.note,
            display_name=card.display_name,
            headline=None if card.headline is None else messages.quote(card.headline),
        )
    return shown
