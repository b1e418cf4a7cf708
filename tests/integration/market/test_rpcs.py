"""The market's RPCs as their callers see them, over a real connection."""

import asyncio
from hashlib import sha256

import grpc
import pytest

from libs.api.paging import PageTokens
from libs.auth import ANONYMOUS, Role
from libs.errors import AppError, Kind
from libs.testing.rpc import operator, serving
from pq.market.v1 import imports_pb2 as imp
from pq.market.v1 import imports_pb2_grpc, market_pb2_grpc
from pq.market.v1 import market_pb2 as pb
from services.market.domain.imports import Kind as Kind_
from services.market.handlers.browsing import Browsing
from services.market.handlers.release import Release
from services.market.servicer.imports import ImportServicer
from services.market.servicer.market import MarketServicer
from services.market.servicer.upload import MAX_CHUNK
from tests.integration.market.world import HEADING, card, prices, row


class Client:
    def __init__(self, server):
        self.market = market_pb2_grpc.MarketServiceStub(server.channel(ANONYMOUS))
        self.imports = imports_pb2_grpc.ImportServiceStub(server.channel(operator(Role.INGEST)))
        self.nobody = imports_pb2_grpc.ImportServiceStub(server.channel(ANONYMOUS))

    async def send(self, *parts):
        return await self.imports.ImportFile(iter(parts))


@pytest.fixture
async def client(world):
    tokens = PageTokens(bytes(32), world.clock)
    browsing = Browsing(world.db)
    release = Release(world.db, world.clock, world.ids)
    async with serving(
        (
            market_pb2_grpc.add_MarketServiceServicer_to_server,
            MarketServicer(world.db, tokens, browsing, release),
        ),
        (
            imports_pb2_grpc.add_ImportServiceServicer_to_server,
            ImportServicer(world.db, tokens, world.ingest),
        ),
    ) as server:
        client = Client(server)
        client.browsing = browsing
        yield client


def header(**values):
    values = {"kind": imp.IMPORT_KIND_PRICES, "source": "tcgplayer"} | values
    return imp.ImportFileRequest(header=imp.ImportHeader(**values))


def chunk(data):
    return imp.ImportFileRequest(chunk=data)


def trailer(data, **values):
    values = {"sha256": sha256(data).hexdigest(), "size": len(data)} | values
    return imp.ImportFileRequest(trailer=imp.ImportTrailer(**values))


def whole(data, size=100, **values):
    pieces = [chunk(data[at : at + size]) for at in range(0, len(data), size)]
    return [header(**values), *pieces, trailer(data)]


DATA = prices("2025-05-01", {1: "1.50", 2: "20.00", 3: ""})


async def test_a_file_comes_in_pieces_and_answers_the_same_again(client):
    first = await client.send(*whole(DATA, file_name="a.csv"))
    assert first.snapshot == "snapshots/tcgplayer-2025-05-01-v1"
    assert (first.row_count, first.accepted_count, first.change_count) == (3, 3, 2)
    assert (first.sha256, first.size) == (sha256(DATA).hexdigest(), len(DATA))
    again = await client.send(*whole(DATA, size=7))
    assert again.duplicate
    again.duplicate = False
    assert again == first
    assert await client.imports.GetImport(imp.GetImportRequest(name=first.name)) == first
    snapshot = await client.market.GetSnapshot(pb.GetSnapshotRequest(name=first.snapshot))
    assert getattr(snapshot, "import") == first.name


REFUSED = [
    ([], "trailer", "wrong_order"),
    ([chunk(DATA), trailer(DATA)], "header", "wrong_order"),
    ([header(), chunk(DATA)], "trailer", "wrong_order"),
    ([header(), header(), trailer(b"")], "header", "wrong_order"),
    ([header(), chunk(DATA), trailer(DATA), chunk(DATA)], "chunk", "wrong_order"),
    ([header(), imp.ImportFileRequest()], "part", "wrong_order"),
    ([header(), chunk(DATA), trailer(DATA, size=1)], "trailer.size", "size_mismatch"),
    ([header(), chunk(DATA), trailer(DATA, sha256="0" * 64)], "trailer.sha256", "digest_mismatch"),
    ([header(), chunk(b"")], "chunk", "out_of_range"),
    ([header(), chunk(bytes(MAX_CHUNK + 1))], "chunk", "out_of_range"),
    ([header(kind=0)], "header.kind", "invalid_field"),
    ([header(kind=9)], "header.kind", "invalid_field"),
    ([header(source="T C G")], "header.source", "invalid_field"),
    (whole(DATA, source="nobody"), "header.source", "unknown_source"),
    ([header(day="2025-13-01")], "header.day", "not_a_day"),
    ([header(day="2025-05-01", kind=imp.IMPORT_KIND_CATALOG)], "header.day", "invalid_field"),
    ([header(file_name="a\nb")], "header.file_name", "invalid_field"),
    ([header(encoding=7)], "header.encoding", "invalid_field"),
    (whole(DATA, encoding=imp.IMPORT_ENCODING_GZIP), "file", "broken_gzip"),
    (whole(DATA.replace(b",low", b"")), "low", "missing_column"),
]


async def test_a_stream_that_is_not_right_keeps_nothing(world, client):
    for parts, field, reason in REFUSED:
        with pytest.raises(AppError) as refused:
            await client.send(*parts)
        assert refused.value.kind is Kind.INVALID
        told = refused.value.violations[0]
        assert (told.field, told.reason) == (field, reason), parts[:2]
        for table in ("imports", "quotes", "cards", "event_outbox"):
            assert await world.rows(table) == 0


async def test_an_aborted_stream_keeps_nothing_and_the_next_is_served(world, client):
    sent = asyncio.Event()

    async def parts():
        yield header()
        yield chunk(DATA)
        sent.set()
        await asyncio.Event().wait()

    call = asyncio.ensure_future(client.imports.ImportFile(parts()))
    await sent.wait()
    call.cancel()
    with pytest.raises((asyncio.CancelledError, AppError, grpc.aio.AioRpcError)):
        await call
    assert await world.rows("imports") == 0
    assert not (await client.send(*whole(DATA))).duplicate


async def test_only_the_ingest_role_sends_files(client):
    with pytest.raises(AppError) as refused:
        await client.nobody.ImportFile(iter(whole(DATA)))
    assert refused.value.kind is Kind.UNAUTHENTICATED


async def pages(call, request, field):
    found = []
    while True:
        answer = await call(request)
        found.append([item.name for item in getattr(answer, field)])
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


@pytest.fixture
async def full(world):
    for day in range(1, 4):
        markets = {product: f"{product % 4 + day}.00" for product in range(1, 12)} | {50: ""}
        await world.day(f"2025-05-0{day}", markets)
    return world


@pytest.mark.parametrize("order", ["", "name", "display_name", "product_id", "market desc"])
async def test_pages_of_cards_are_the_whole_list_in_order(full, client, order):
    request = pb.ListCardsRequest(page_size=5, order_by=order)
    found = await pages(client.market.ListCards, request, "cards")
    assert [len(page) for page in found] == [5, 5, 2]
    names = [name for page in found for name in page]
    assert sorted(names) == sorted(f"cards/{card(product)}" for product in [*range(1, 12), 50])
    cards = [await client.market.GetCard(pb.GetCardRequest(name=name)) for name in names]
    keys = {
        "": lambda one: one.name,
        "name": lambda one: one.name,
        "display_name": lambda one: (one.display_name, one.name),
        "product_id": lambda one: (one.product_id, one.name),
        "market desc": lambda one: -float(one.headline.market or "-1"),
    }
    assert cards == sorted(cards, key=keys[order])


FILTERS = [
    ("product_id = 3", {3}),
    ("market >= 6.00", {3, 7, 11}),
    ("market < 4.00 OR product_id = 2", {2, 4, 8}),
    ('category = "pokemon" AND NOT product_id < 11', {11, 50}),
    ('display_name = "1*"', {1, 10, 11}),
    ("sealed = true", set()),
    ('printing = "Normal"', set()),
    ('display_name = "1\' or 1=1 --"', set()),
    ('display_name = "$1; drop table cards"', set()),
]


async def test_filters_are_answered(full, client):
    for filter, products in FILTERS:
        answer = await client.market.ListCards(pb.ListCardsRequest(filter=filter))
        assert {one.product_id for one in answer.cards} == products, filter


UNANSWERABLE = [
    (pb.ListCardsRequest(filter="1=1"), "filter"),
    (pb.ListCardsRequest(filter="market = 1.005"), "filter"),
    (pb.ListCardsRequest(filter="c.card = 1"), "filter"),
    (pb.ListCardsRequest(filter="product_id = 1; drop table cards"), "filter"),
    (pb.ListCardsRequest(order_by="card"), "order_by"),
    (pb.ListCardsRequest(order_by="name; drop table cards"), "order_by"),
    (pb.ListCardsRequest(page_size=-1), "page_size"),
    (pb.ListCardsRequest(page_size=1001), "page_size"),
    (pb.ListCardsRequest(page_token="AAAA"), "page_token"),
]


async def test_what_cannot_be_asked_is_refused_by_field(full, client):
    for request, field in UNANSWERABLE:
        with pytest.raises(AppError) as refused:
            await client.market.ListCards(request)
        assert [told.field for told in refused.value.violations] == [field], request


async def test_a_token_is_good_for_its_own_question_alone(full, client):
    first = await client.market.ListCards(pb.ListCardsRequest(page_size=2))
    for other in (
        pb.ListCardsRequest(page_token=first.next_page_token, order_by="display_name"),
        pb.ListCardsRequest(page_token=first.next_page_token, filter="product_id > 1"),
    ):
        with pytest.raises(AppError, match="page_token"):
            await client.market.ListCards(other)
    with pytest.raises(AppError, match="page_token"):
        await client.market.ListSnapshots(pb.ListSnapshotsRequest(page_token=first.next_page_token))


async def test_a_cards_quotes_come_across_sources_and_partitions(full, client):
    await full.day("2025-04-30", {1: "9.99"}, source="cardmarket")
    await full.day("2025-05-02", {1: "8.88"}, source="cardmarket")
    parent = f"cards/{card(1)}"

    async def read(**values):
        request, found = pb.ListQuotesRequest(parent=parent, page_size=2, **values), []
        while True:
            answer = await client.market.ListQuotes(request)
            found += [(quote.day, quote.source, quote.market) for quote in answer.quotes]
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    everything = [
        ("2025-04-30", "cardmarket", "9.99"),
        ("2025-05-01", "tcgplayer", "2.00"),
        ("2025-05-02", "tcgplayer", "3.00"),
        ("2025-05-02", "cardmarket", "8.88"),
        ("2025-05-03", "tcgplayer", "4.00"),
    ]
    assert await read(order_by="day") == everything
    assert await read() == everything[::-1]
    assert await read(filter='source = "cardmarket"') == [everything[3], everything[0]]
    assert (
        await read(filter='day >= "2025-05-01" AND day < 2025-05-03', order_by="day")
        == (everything[1:4])
    )


async def test_quotes_say_what_is_not_known(world, client):
    await world.take(f"{HEADING}\n{row('2025-05-01', 1, '', low='1.05')}\n".encode())
    one = await client.market.GetCard(pb.GetCardRequest(name=f"cards/{card(1)}"))
    assert not one.headline.HasField("market")
    assert (one.headline.low, one.headline.currency_code) == ("1.05", "USD")
    assert not one.HasField("sealed")


NAMES = [
    ("cards/pokemon-999-holofoil", Kind.NOT_FOUND),
    ("cards/", Kind.INVALID),
    ("pokemon-1-holofoil", Kind.INVALID),
    ("cards/Pokemon-1-holofoil", Kind.INVALID),
    ("cards/pokemon-1-holofoil'--", Kind.INVALID),
    ("alerts/alr_01", Kind.INVALID),
]


async def test_names_of_cards_are_checked(full, client):
    for name, kind in NAMES:
        for call in (
            client.market.GetCard(pb.GetCardRequest(name=name)),
            client.market.ListQuotes(pb.ListQuotesRequest(parent=name)),
        ):
            with pytest.raises(AppError) as refused:
                await call
            assert refused.value.kind is kind, name


async def test_snapshots_and_imports_are_listed_newest_first(full, client):
    await full.day("2025-05-02", {1: "7.77"})
    request = pb.ListSnapshotsRequest(page_size=2)
    assert await pages(client.market.ListSnapshots, request, "snapshots") == [
        ["snapshots/tcgplayer-2025-05-03-v1", "snapshots/tcgplayer-2025-05-02-v2"],
        ["snapshots/tcgplayer-2025-05-02-v1", "snapshots/tcgplayer-2025-05-01-v1"],
    ]
    corrections = await client.market.ListSnapshots(
        pb.ListSnapshotsRequest(filter="mode = MODE_CORRECTION")
    )
    assert [one.version for one in corrections.snapshots] == [2]
    found = await pages(client.imports.ListImports, imp.ListImportsRequest(page_size=3), "imports")
    assert [len(page) for page in found] == [3, 1]
    newest = await client.imports.GetImport(imp.GetImportRequest(name=found[0][0]))
    assert (newest.mode, newest.day) == (pb.MODE_CORRECTION, "2025-05-02")


async def test_names_of_snapshots_are_checked(client):
    for name in ("snapshots/tcgplayer-2025-02-30-v1", "snapshots/x", "snapshots/a-2025-01-01-v0"):
        with pytest.raises(AppError, match="expected snapshots/"):
            await client.market.GetSnapshot(pb.GetSnapshotRequest(name=name))


async def test_search_finds_narrows_counts_and_follows_the_catalogue(client, world):
    await world.day("2025-05-01", {1: "1.50", 2: "20.00", 3: "", 4: "7.00"})
    rows = [
        "604,Base Set,1999-01-09,1,Charizard,004/102,Rare,0",
        "604,Base Set,1999-01-09,2,Charmeleon,024/102,Uncommon,0",
    ]
    rows.append("605,Jungle,1999-06-16,4,Booster Box,,,1")
    heading = "category,group_id,group_name,published,product_id,name,number,rarity,is_sealed"
    lines = [f"{heading},image_url", *(f"pokemon,{line}," for line in rows)]
    catalog = "\r\n".join([*lines, ""])
    await world.take(catalog.encode(), kind=Kind_.CATALOG)

    async def found(**values):
        await client.browsing.refresh()
        return await client.market.SearchCards(pb.SearchCardsRequest(**values))

    answer = await found(query="charzard", facet_size=5)
    assert answer.cards[0].name == f"cards/{card(1)}"
    everything = await found(facet_size=5)
    assert everything.total_size == 4
    assert [one.name for one in everything.cards] == [f"cards/{card(n)}" for n in (2, 4, 1, 3)]
    counts = {f.property: {v.value: v.count for v in f.values} for f in everything.facets}
    assert counts["sealed"] == {"false": 2, "true": 1, "": 1}
    assert counts["price"] == {"1.00-5.00": 1, "5.00-10.00": 1, "10.00-25.00": 1}
    titles = {v.title for f in everything.facets if f.property == "set_id" for v in f.values}
    assert titles == {"Base Set", "Jungle"}
    narrowed = await found(rarity=["Rare", "Uncommon"], max_price="10")
    assert [one.name for one in narrowed.cards] == [f"cards/{card(1)}"]
    pages, token = [], ""
    while True:
        page = await found(page_size=3, page_token=token)
        pages.append([one.name for one in page.cards])
        token = page.next_page_token
        if not token:
            break
    assert list(map(len, pages)) == [3, 1]
    await world.day("2025-05-02", {3: "99.00"})
    assert (await found()).cards[0].name == f"cards/{card(3)}"
    for field, values in (
        ("min_price", {"min_price": "1.234"}),
        ("max_price", {"min_price": "5", "max_price": "4"}),
        ("facet_size", {"facet_size": 101}),
        ("query", {"query": "x" * 201}),
    ):
        with pytest.raises(AppError) as caught:
            await found(**values)
        assert caught.value.violations[0].field == field
