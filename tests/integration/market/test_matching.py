"""A source with ids of its own: what nobody has matched waits; likeness of names is no match."""

import asyncio
import json

import pytest

from libs.api import idempotency
from libs.api.paging import PageTokens
from libs.auth import Role
from libs.db import migrate
from libs.errors import AppError, Kind
from libs.testing.rpc import operator, serving
from pq.market.v1 import matching_pb2 as pb
from pq.market.v1 import matching_pb2_grpc
from services.market.handlers.fetching import Fetching
from services.market.servicer.matching import MatchingServicer
from services.market.sources.adapter import DriftError
from services.market.sources.cardmarket import Cardmarket
from services.market.sources.justtcg import JustTcg
from services.market.sources.pokemontcg import PokemonTcg
from services.market.sources.polite import Manners, Polite
from services.market.store.fetches import FetchState
from services.market.store.raw import open_raw
from tests.integration.market.test_sources import Server
from tests.integration.market.world import card

GUIDE = "/productCatalog/priceGuide/price_guide_6.json"
SINGLES = "/productCatalog/productList/products_singles_6.json"
SEALED = "/productCatalog/productList/products_nonsingles_6.json"
PRICES = [
    {"idProduct": 11, "idCategory": 51, "avg": 12.345, "low": 9, "trend": 11.5, "avg1": 12,
     "avg-holo": None, "low-holo": 30.0, "trend-holo": 41.25},
    {"idProduct": 12, "idCategory": 51, "avg": 0, "low": None, "trend": 0, "trend-holo": 0},
    {"idProduct": 13, "idCategory": 52, "avg": 99.0, "low": 80.0, "trend": 100},
]  # fmt: skip


def guide(prices=PRICES, day="2025-05-20", **more):
    made = {"version": 1, "createdAt": f"{day}T02:50:12+0200", "priceGuides": prices}
    return json.dumps(made | more).encode()


@pytest.fixture
async def scene(world, empty_database):
    await migrate(empty_database, [("api", idempotency.MIGRATIONS)])
    async with Server() as server:
        names = [{"idProduct": 11, "name": "Charizard"}, {"idProduct": 12, "name": "Nobody"}]
        server.bodies = {
            GUIDE: guide(),
            SINGLES: json.dumps({"version": 1, "products": names}).encode(),
            SEALED: json.dumps({"products": [{"idProduct": 13, "name": "Box"}]}).encode(),
        }

        async def sleep(_seconds):
            pass

        polite = Polite(server.url, Manners("ops@shop.example"), world.clock, sleep)
        fetching = Fetching(
            world.db,
            world.clock,
            world.ingest,
            open_raw(str(world.raw)),
            {"cardmarket": Cardmarket(server.url)},
            lambda _: polite,
        )
        tokens = PageTokens(bytes(32), world.clock)
        async with serving(
            (
                matching_pb2_grpc.add_MatchingServiceServicer_to_server,
                MatchingServicer(world.db, tokens, world.clock),
            )
        ) as served:
            stub = matching_pb2_grpc.MatchingServiceStub(served.channel(operator(Role.OPERATOR)))
            viewer = matching_pb2_grpc.MatchingServiceStub(served.channel(operator(Role.VIEWER)))
            yield server, fetching, stub, viewer
        await polite.close()


async def waiting(stub):
    found = await stub.ListSourceProducts(pb.ListSourceProductsRequest(waiting=True))
    return [one.name.removeprefix("sourceProducts/cardmarket:") for one in found.source_products]


def match(product, to="", **more):
    name = f"sourceProducts/cardmarket:{product}"
    return pb.MatchSourceProductRequest(name=name, card=to and f"cards/{to}", **more)


async def test_from_a_product_that_waits_to_a_cards_quote(world, scene):
    server, fetching, stub, viewer = scene
    await world.day("2025-05-19", {1: "20.00", 2: "30.00"})
    asked = await fetching("cardmarket")
    assert asked.fetch.state is FetchState.FAILED
    assert "none of 3 products is matched" in asked.fetch.error
    assert await waiting(stub) == ["11:Foil", "11:Plain", "13:Plain"]

    matched = await stub.MatchSourceProduct(match("11:Plain", card(1), note="by picture"))
    assert (matched.display_name, matched.note) == ("Charizard", "by picture")
    assert matched.matched_by == operator(Role.OPERATOR).subject
    before = len(server.asked)
    asked = await fetching("cardmarket")
    assert asked.fetch.state is FetchState.SUCCEEDED
    assert server.asked[before:] == [GUIDE]  # the day alone; its parts were kept
    rows = await world.db.fetch(
        "select c.id, q.market, q.low, q.mid, s.name, s.currency from quotes q join cards c"
        " using (card) join sources s using (source) where s.name = 'cardmarket'"
    )
    assert [tuple(row) for row in rows] == [(card(1), 1150, 900, 1235, "cardmarket", "EUR")]

    await stub.MatchSourceProduct(match("11:Foil", card(2)))
    await stub.MatchSourceProduct(match("11:Plain"))  # it was wrong
    assert await waiting(viewer) == ["11:Plain", "13:Plain"]
    server.bodies[GUIDE] = guide(day="2025-05-21")
    await fetching("cardmarket")
    rows = await world.db.fetch(
        "select c.id, q.market from quotes q join cards c using (card) where q.day = '2025-05-21'"
    )
    assert [tuple(row) for row in rows] == [(card(2), 4125)]
    [row] = (
        await viewer.ListSourceProducts(pb.ListSourceProductsRequest(waiting=False))
    ).source_products
    assert (row.card, row.first_day, row.last_day) == (
        f"cards/{card(2)}",
        "2025-05-20",
        "2025-05-21",
    )


async def test_a_price_below_nothing_is_set_aside_like_any_row_at_fault(world, scene):
    server, fetching, stub, _ = scene
    await world.day("2025-05-19", {1: "20.00", 2: "30.00"})
    odd = {"idProduct": 14, "trend": -1, "low": 2}
    server.bodies[GUIDE] = guide(prices=[*PRICES, odd])
    await fetching("cardmarket")
    for product, to in (("11:Plain", card(1)), ("14:Plain", card(2))):
        await stub.MatchSourceProduct(match(product, to))
    asked = await fetching("cardmarket")
    assert asked.fetch.state is FetchState.SUCCEEDED
    rows = await world.db.fetch(
        "select c.id from quotes q join cards c using (card) where q.day = '2025-05-20'"
    )
    assert [row["id"] for row in rows] == [card(1)]


async def test_what_is_wrong_is_named(world, scene):
    _, fetching, stub, viewer = scene
    await world.day("2025-05-19", {1: "20.00"})
    await fetching("cardmarket")
    for request, field in (
        (match("11:Plain", card(99)), "card"),
        (pb.MatchSourceProductRequest(name="sourceProducts/x"), "name"),
        (match("11:Plain", card(1), note="x" * 501), "note"),
    ):
        with pytest.raises(AppError) as caught:
            await stub.MatchSourceProduct(request)
        assert [one.field for one in caught.value.violations] == [field]
    for call, kind in (
        (stub.MatchSourceProduct(match("999:Plain", card(1))), Kind.NOT_FOUND),
        (viewer.MatchSourceProduct(match("11:Plain", card(1))), Kind.FORBIDDEN),
    ):
        with pytest.raises(AppError) as caught:
            await call
        assert caught.value.kind is kind


async def test_each_condition_is_a_source_and_one_nobody_configured_is_left_out(world, scene):
    server, fetching, stub, _ = scene
    await world.day("2025-05-19", {1: "20.00"})
    variants = [
        {"condition": condition, "printing": "Holofoil", "price": price, "language": "English",
         "lastUpdated": 1747699200}
        for condition, price in (("Damaged", 4), ("Near Mint", 21.5), ("Heavily Played", 9))
    ]  # fmt: skip
    told = {"data": [{"id": "charizard", "name": "Charizard", "variants": variants}]}
    body = json.dumps(told | {"meta": {"hasMore": False}}).encode()
    server.bodies["/v1/cards?game=pokemon&limit=100&offset=0"] = body
    fetching.adapters["justtcg"] = JustTcg(server.url)
    fetching._turns["justtcg"] = asyncio.Lock()
    asked = await fetching("justtcg")
    assert "none of 1 products" in asked.fetch.error
    name = "sourceProducts/justtcg:charizard:Holofoil"
    await stub.MatchSourceProduct(pb.MatchSourceProductRequest(name=name, card=f"cards/{card(1)}"))
    asked = await fetching("justtcg")
    assert asked.fetch.state is FetchState.SUCCEEDED
    rows = await world.db.fetch(
        "select s.name, s.condition, q.market from quotes q join sources s using (source)"
        " where q.day = '2025-05-20' order by 1"
    )
    assert [tuple(row) for row in rows] == [
        ("justtcg", "near_mint", 2150),
        ("justtcg-damaged", "damaged", 400),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "body"),
        (b"{", "body"),
        (guide(createdAt="today"), "createdAt"),
        (guide(prices="none"), "priceGuides"),
        (guide(prices=[{"idProduct": "11", "trend": 1}]), "idProduct"),
        (guide(prices=[{"idProduct": 11, "trend": "1"}]), "trend"),
        (guide(prices=[]), "priceGuides"),
    ],
)
async def test_another_shape_is_told_by_part_and_field(body, field):
    bodies = {GUIDE[1:]: body, SINGLES[1:]: b'{"products":[]}', SEALED[1:]: b'{"products":[]}'}

    async def get(part):
        return bodies[part]

    adapter = Cardmarket()
    with pytest.raises(DriftError) as caught:
        await adapter.fetch(await adapter.newest(get), get)
    assert caught.value.field == field


def page(cards, total=None, **more):
    return json.dumps({"data": cards, "totalCount": len(cards) if total is None else total} | more)


HOLO = {
    "id": "base1-4",
    "name": "Charizard",
    "number": "4",
    "set": {"name": "Base"},
    "tcgplayer": {
        "url": "https://prices.example/base1-4",
        "updatedAt": "2025/05/20",
        "prices": {"holofoil": {"low": 300.5, "mid": 400, "market": 350.25, "directLow": None}},
    },
}


async def fetched(pages, size=1):
    """What the adapter makes of these pages; the first is also what tells the day."""
    asked = []

    async def get(part):
        asked.append(part)
        number = int(part.rpartition("page=")[2]) if "orderBy=id" in part else 1
        return pages[number - 1].encode()

    adapter = PokemonTcg(page=size)
    return await adapter.fetch(await adapter.newest(get), get), asked


async def test_the_card_api_is_read_page_by_page():
    other = HOLO | {"id": "base1-5", "tcgplayer": None}
    third = HOLO | {"id": "base1-6"}
    pages = [page([HOLO], 3), page([other], 3), page([third], 3)]
    rendered, asked = await fetched(pages)
    assert rendered.day.isoformat() == "2025-05-20"
    assert len(asked) == 4
    first, second = rendered.foreign
    assert (first.product, first.printing, first.market) == ("base1-4", "holofoil", "350.25")
    assert (first.low, first.mid, first.high, first.direct_low) == ("300.5", "400", "", "")
    assert first.display_name == "Charizard · Base · 4"
    assert second.product == "base1-6"


@pytest.mark.parametrize(
    ("pages", "field"),
    [
        (["[]"], "body"),
        (['{"totalCount": 0}'], "data"),
        ([page([HOLO], total="many")], "totalCount"),
        ([page([HOLO | {"id": None}])], "id"),
        ([page([HOLO | {"tcgplayer": {"updatedAt": "May"}}])], "tcgplayer.updatedAt"),
        ([page([{"id": "a", "tcgplayer": None}])], "tcgplayer.updatedAt"),
        ([page([HOLO], 2), page([], 2), page([], 2)], "data"),
        (
            [page([HOLO | {"tcgplayer": HOLO["tcgplayer"] | {"prices": {"a": {"low": "1"}}}}])],
            "tcgplayer.prices.low",
        ),
    ],
)
async def test_a_card_api_of_another_shape_is_told(pages, field):
    with pytest.raises(DriftError) as caught:
        await fetched(pages)
    assert caught.value.field == field
