"""Cards looked at closely, and sets, as their callers see them."""

import pytest

from libs.api.paging import PageTokens
from libs.auth import ANONYMOUS, Role
from libs.errors import AppError, Kind
from libs.testing.rpc import operator, serving
from pq.market.v1 import catalog_pb2 as pb
from pq.market.v1 import catalog_pb2_grpc
from services.market.domain import imports
from services.market.handlers.provenance import Provenance
from services.market.servicer.catalog import CatalogServicer
from services.market.store.raw import open_raw
from tests.integration.market.world import HEADING, card, row

CATALOG = (
    "category,group_id,group_name,published,product_id,name,number,rarity,is_sealed,image_url\r\n"
    "pokemon,604,Base Set,1999-01-09,1,Charizard,004/102,Rare,0,\r\n"
    "pokemon,604,Base Set,1999-01-09,2,Charmeleon,024/102,Uncommon,0,\r\n"
    "pokemon,604,Base Set,1999-01-09,3,Booster Box,,,1,\r\n"
)


@pytest.fixture
async def clients(world):
    await world.take(CATALOG.encode(), kind=imports.Kind.CATALOG)
    lines = [
        row("2025-05-01", 1, "400.00", low="380.00"),
        row("2025-05-01", 1, "300.00", "Unlimited"),
        row("2025-05-01", 2, ""),
        row("2025-05-01", 3, "9000.00"),
    ]
    await world.take(("\r\n".join([HEADING, *lines]) + "\r\n").encode())
    await world.day("2025-05-04", {1: "410.00"})
    await world.day("2025-05-06", {1: "405.50"})
    tokens = PageTokens(bytes(32), world.clock)
    provenance = Provenance(world.db, open_raw(str(world.raw)), 1 << 20, 1000)
    async with serving(
        (
            catalog_pb2_grpc.add_CatalogServiceServicer_to_server,
            CatalogServicer(world.db, tokens, provenance),
        ),
    ) as server:
        yield tuple(
            catalog_pb2_grpc.CatalogServiceStub(server.channel(who))
            for who in (ANONYMOUS, operator(Role.VIEWER))
        )


async def test_history_shows_gaps(clients):
    anyone, _ = clients
    days = await anyone.ListCardHistory(pb.ListCardHistoryRequest(parent=f"cards/{card(1)}"))
    assert [(s.start_day, s.last or None) for s in days.spans] == [
        ("2025-05-01", "400.00"),
        ("2025-05-02", None),
        ("2025-05-03", None),
        ("2025-05-04", "410.00"),
        ("2025-05-05", None),
        ("2025-05-06", "405.50"),
    ]
    assert not days.spans[1].HasField("last")
    assert days.currency_code == "USD"
    weeks = await anyone.ListCardHistory(
        pb.ListCardHistoryRequest(
            parent=f"cards/{card(1)}", interval=pb.INTERVAL_WEEK, start_day="2025-04-28"
        )
    )
    assert [(s.start_day, s.end_day, s.quoted_days, s.min, s.max) for s in weeks.spans] == [
        ("2025-04-28", "2025-05-04", 2, "400.00", "410.00"),
        ("2025-05-05", "2025-05-06", 1, "405.50", "405.50"),
    ]
    for wrong in ({"start_day": "2025-05-07"}, {"start_day": "1990-01-01"}, {"end_day": "May"}):
        with pytest.raises(AppError) as caught:
            await anyone.ListCardHistory(
                pb.ListCardHistoryRequest(parent=f"cards/{card(1)}", **wrong)
            )
        assert caught.value.violations[0].field in wrong


async def test_printings_are_listed_cheapest_first(clients):
    anyone, _ = clients
    found = await anyone.ListRelatedCards(pb.ListRelatedCardsRequest(parent=f"cards/{card(1)}"))
    assert [one.printing for one in found.cards] == ["Unlimited", "Holofoil"]


async def test_a_seller_gets_what_fees_and_shipping_leave(clients):
    anyone, _ = clients
    name = f"cards/{card(3)}/value"
    found = await anyone.GetCardValue(pb.GetCardValueRequest(name=name, shipping="5.00"))
    # 10.25 % and 2.5 % of 9,000.00, and 0.30.
    assert (found.price, found.fees, found.realisable) == ("9000.00", "1147.80", "7847.20")
    ebay = await anyone.GetCardValue(
        pb.GetCardValueRequest(name=name, marketplace=pb.MARKETPLACE_EBAY)
    )
    assert (ebay.fees, ebay.shipping, ebay.rule) == ("1192.50", "0.00", "ebay: 13.25 % + 0.00")
    unknown = await anyone.GetCardValue(pb.GetCardValueRequest(name=f"cards/{card(2)}/value"))
    assert not unknown.HasField("realisable")
    with pytest.raises(AppError) as caught:
        await anyone.GetCardValue(pb.GetCardValueRequest(name=name, shipping="-1"))
    assert caught.value.violations[0].field == "shipping"


async def test_a_set_says_what_it_costs_and_what_is_unknown(clients):
    anyone, _ = clients
    listed = await anyone.ListSets(pb.ListSetsRequest(filter='category = "pokemon"'))
    assert [one.display_name for one in listed.sets] == ["Base Set"]
    found = await anyone.GetSet(pb.GetSetRequest(name="sets/pokemon-604"))
    assert (found.product_count, found.card_count, found.sealed_count) == (2, 3, 1)
    assert found.published_day == "1999-01-09"
    costs = {
        (one.currency_code, one.condition, one.printing): (
            one.market,
            one.known_count,
            one.unknown_count,
        )
        for one in found.costs
    }
    assert costs == {
        ("USD", "near_mint", "cheapest"): ("300.00", 1, 1),
        ("USD", "near_mint", "Holofoil"): ("405.50", 1, 1),
        ("USD", "near_mint", "Unlimited"): ("300.00", 1, 0),
    }
    for name, kind in (("sets/pokemon-9", Kind.NOT_FOUND), ("sets/x", Kind.INVALID)):
        with pytest.raises(AppError) as caught:
            await anyone.GetSet(pb.GetSetRequest(name=name))
        assert caught.value.kind is kind


async def test_a_set_costs_something_else_in_another_condition_or_currency(clients, world):
    anyone, _ = clients
    await world.day("2025-05-02", {1: "40.00", 2: "7.00"}, source="justtcg-damaged")
    await world.day("2025-05-02", {1: "99.00"}, source="justtcg")  # near mint, after tcgplayer
    await world.day("2025-05-02", {1: "350.00"}, source="cardmarket")
    found = await anyone.GetSet(pb.GetSetRequest(name="sets/pokemon-604"))
    costs = {
        (one.currency_code, one.condition): (one.market, one.known_count, one.unknown_count)
        for one in found.costs
        if one.printing == "Holofoil"
    }
    assert costs == {
        ("USD", "near_mint"): ("405.50", 1, 1),
        ("USD", "damaged"): ("47.00", 2, 0),
        ("EUR", "any"): ("350.00", 1, 1),
    }
    assert [one.condition for one in found.costs] == [
        *["near_mint"] * 3,
        *["any"] * 3,
        *["damaged"] * 3,
    ]


async def test_a_quote_names_its_file_and_line(clients, world):
    _, viewer = clients
    ask = {"name": f"cards/{card(1)}/quoteOrigin", "source": "tcgplayer"}
    found = await viewer.GetQuoteOrigin(pb.GetQuoteOriginRequest(day="2025-05-01", **ask))
    assert (found.line, found.file_name, found.snapshot.version) == (2, "a.csv", 1)
    assert len(found.sha256) == 64
    await world.day("2025-05-04", {2: "1.00", 1: "411.00"})
    again = await viewer.GetQuoteOrigin(pb.GetQuoteOriginRequest(day="2025-05-04", **ask))
    assert (again.line, again.snapshot.version) == (3, 2)
    first = await viewer.GetQuoteOrigin(
        pb.GetQuoteOriginRequest(day="2025-05-04", version=1, **ask)
    )
    assert (first.line, first.snapshot.version) == (2, 1)
    assert (first.quote.market, again.quote.market) == ("410.00", "411.00")
    assert first.media_type == "text/csv"
    for wrong, kind in (
        ({"day": "2025-05-02"}, Kind.NOT_FOUND),
        ({"day": ""}, Kind.INVALID),
        ({"day": "2025-05-01", "version": 7}, Kind.NOT_FOUND),
    ):
        with pytest.raises(AppError) as caught:
            await viewer.GetQuoteOrigin(pb.GetQuoteOriginRequest(**ask, **wrong))
        assert caught.value.kind is kind
