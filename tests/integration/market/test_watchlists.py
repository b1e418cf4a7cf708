"""Watchlists as their accounts see them."""

from uuid import UUID

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from libs.api import idempotency
from libs.api.erasure import Left
from libs.api.paging import PageTokens
from libs.db import migrate
from libs.errors import AppError, Kind
from libs.testing.rpc import account, serving
from pq.market.v1 import watchlists_pb2 as pb
from pq.market.v1 import watchlists_pb2_grpc
from services.market.handlers.watchlists import Watchlists
from services.market.servicer.watchlists import WatchlistServicer
from tests.integration.market.world import card

ME, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture
async def clients(world, empty_database):
    await migrate(empty_database, [("api", idempotency.MIGRATIONS)])
    await world.day("2025-05-01", {1: "1.50", 2: "20.00"})
    handler = Watchlists(world.clock, world.ids)
    servicer = WatchlistServicer(world.db, PageTokens(bytes(32), world.clock), world.clock, handler)
    async with serving(
        (watchlists_pb2_grpc.add_WatchlistServiceServicer_to_server, servicer)
    ) as server:
        yield tuple(
            watchlists_pb2_grpc.WatchlistServiceStub(server.channel(account(who)))
            for who in (ME, OTHER)
        )


def wanted(name="Grails", cards=(1,), note=""):
    items = [pb.WatchlistItem(card=f"cards/{card(n)}", note=note) for n in cards]
    return pb.Watchlist(display_name=name, items=items)


async def test_a_watchlist_is_made_once_shown_with_prices_changed_and_deleted(clients):
    mine, others = clients
    ask = pb.CreateWatchlistRequest(watchlist=wanted(note="for the binder"), request_id="r" * 20)
    made = await mine.CreateWatchlist(ask)
    assert await mine.CreateWatchlist(ask) == made
    [item] = made.items
    assert (item.note, item.headline.market) == ("for the binder", "1.50")
    change = pb.Watchlist(name=made.name, items=wanted(cards=(2, 1)).items, etag=made.etag)
    mask = FieldMask(paths=["items"])
    after = await mine.UpdateWatchlist(
        pb.UpdateWatchlistRequest(watchlist=change, update_mask=mask)
    )
    assert after.display_name == "Grails"
    assert [one.headline.market for one in after.items] == ["20.00", "1.50"]
    with pytest.raises(AppError) as caught:
        await mine.UpdateWatchlist(pb.UpdateWatchlistRequest(watchlist=change, update_mask=mask))
    assert caught.value.reason == "etag_mismatch"
    for call in (
        others.GetWatchlist(pb.GetWatchlistRequest(name=made.name)),
        others.DeleteWatchlist(pb.DeleteWatchlistRequest(name=made.name)),
    ):
        with pytest.raises(AppError) as caught:
            await call
        assert caught.value.kind is Kind.NOT_FOUND
    assert (await mine.ListWatchlists(pb.ListWatchlistsRequest())).watchlists == [after]
    assert not (await others.ListWatchlists(pb.ListWatchlistsRequest())).watchlists
    await mine.DeleteWatchlist(pb.DeleteWatchlistRequest(name=made.name, etag=after.etag))
    assert not (await mine.ListWatchlists(pb.ListWatchlistsRequest())).watchlists


@pytest.mark.parametrize(
    ("watchlist", "field"),
    [
        (wanted(name=" "), "watchlist.display_name"),
        (wanted(name="x" * 101), "watchlist.display_name"),
        (wanted(cards=(1, 1)), "watchlist.items[1].card"),
        (wanted(cards=(1, 9)), "watchlist.items[1].card"),
        (wanted(note="x" * 501), "watchlist.items[0].note"),
        (wanted(cards=range(501)), "watchlist.items"),
    ],
)
async def test_what_is_wrong_is_named(clients, watchlist, field):
    mine, _ = clients
    with pytest.raises(AppError) as caught:
        await mine.CreateWatchlist(pb.CreateWatchlistRequest(watchlist=watchlist))
    assert caught.value.violations[0].field == field


async def test_an_account_that_is_gone_leaves_none(clients, world):
    mine, others = clients
    await mine.CreateWatchlist(pb.CreateWatchlistRequest(watchlist=wanted()))
    await others.CreateWatchlist(pb.CreateWatchlistRequest(watchlist=wanted()))
    async with world.db.transaction() as tx:
        assert await Watchlists(world.clock, world.ids).erase(tx, ME) is Left.NOTHING
    assert await world.rows("watchlists") == await world.rows("watchlist_items") == 1
