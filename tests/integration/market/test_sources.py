"""A source fetched from a real server that pages, refuses, breaks off and changes its shape."""

import asyncio
import json
from datetime import date, timedelta

import pytest

from libs.api.paging import PageTokens
from libs.auth import Role
from libs.errors import AppError
from libs.testing.rpc import operator, serving
from pq.market.v1 import sources_pb2 as pb
from pq.market.v1 import sources_pb2_grpc
from services.market.domain.schedule import schedule
from services.market.handlers.fetching import Fetching
from services.market.handlers.scheduling import Scheduling
from services.market.servicer.sources import SourceServicer
from services.market.sources.adapter import AwayError
from services.market.sources.polite import Manners, Polite
from services.market.sources.tcgcsv import Tcgcsv
from services.market.store.raw import open_raw
from tests.integration.market.world import until

GROUPS = {"groupId": 604, "name": "Base Set", "publishedOn": "1999-01-09T00:00:00"}
PRODUCTS = [
    {
        "productId": 42382,
        "name": 'Charizard, "holo"',
        "imageUrl": "https://cards.example/42382.jpg",
        "extendedData": [
            {"name": "Number", "value": "004/102"},
            {"name": "Rarity", "value": "Holo Rare"},
        ],
    },
    {"productId": 7, "name": "Booster Box", "imageUrl": "", "extendedData": []},
]
PRICES = [
    {"productId": 42382, "subTypeName": "Holofoil", "marketPrice": 462.27, "lowPrice": 400.0,
     "midPrice": None, "highPrice": 1249.99, "directLowPrice": None},
    {"productId": 7, "subTypeName": "Normal", "marketPrice": None, "lowPrice": None,
     "midPrice": None, "highPrice": None, "directLowPrice": None},
]  # fmt: skip


def answer(results, **changed):
    return json.dumps({"success": True, "errors": [], "results": results} | changed).encode()


class Server:
    """Paths to bodies; `faults` are answered first: a status with Retry-After, or a cut."""

    def __init__(self):
        self.bodies = {
            "/last-updated.txt": b"2025-05-20T20:05:12+0000\n",
            "/tcgplayer/3/groups": answer([GROUPS], totalItems=1),
            "/tcgplayer/3/604/products": answer(PRODUCTS),
            "/tcgplayer/3/604/prices": answer(PRICES),
        }
        self.faults = {}
        self.asked = []
        self.agents = set()
        self.keys = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        path = head[0].split()[1]
        self.asked.append(path)
        self.agents |= {line[12:] for line in head if line.lower().startswith("user-agent: ")}
        self.keys |= {line[11:] for line in head if line.lower().startswith("x-api-key: ")}
        faults = self.faults.get(path, [])
        fault = faults.pop(0) if faults else None
        body = self.bodies.get(path, b"")
        if isinstance(fault, int):
            writer.write(
                b"HTTP/1.1 %d X\r\nretry-after: 7\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                % fault
            )
        else:
            shown = body[: len(body) // 2] if fault == "cut" else body
            writer.write(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
                + shown
            )
        await writer.drain()
        writer.close()


class Scene:
    def __init__(self, world, server):
        self.world, self.server, self.waits = world, server, []
        adapter = Tcgcsv(server.url, {"pokemon": 3})
        self.polite = Polite(
            server.url, Manners("ops@shop.example", pause=0.1), world.clock, self.sleep
        )
        raw = open_raw(str(world.raw))
        self.fetching = Fetching(
            world.db, world.clock, world.ingest, raw, {"tcgcsv": adapter}, lambda _: self.polite
        )

    async def sleep(self, seconds):
        if seconds:
            self.waits.append(round(seconds, 3))


@pytest.fixture
async def scene(world):
    async with Server() as server:
        made = Scene(world, server)
        yield made
        await made.polite.close()


async def test_a_day_comes_in_with_its_products_and_is_not_asked_for_again(scene, world):
    asked = await scene.fetching("tcgcsv")
    assert (asked.day, asked.fetch.state.name) == (date(2025, 5, 20), "SUCCEEDED")
    row = await world.db.fetchrow(
        "select c.id, c.display_name, c.number, c.sealed, l.market, l.low, l.mid from cards c"
        " join card_latest l using (card)"
    )
    assert tuple(row) == (
        "pokemon-42382-holofoil", 'Charizard, "holo"', "004/102", False, 46227, 40000, None,
    )  # fmt: skip
    sealed = "select sealed from products where product_id = 7"
    assert await world.db.fetchval(sealed)
    before = len(scene.server.asked)
    assert (await scene.fetching("tcgcsv")).fetch == asked.fetch
    assert scene.server.asked[before:] == ["/last-updated.txt"]
    assert scene.server.agents == {"pq (+ops@shop.example)"}
    assert 0.1 in scene.waits


async def test_what_broke_off_is_gone_on_with(scene, world):
    prices = "/tcgplayer/3/604/prices"
    scene.server.faults = {
        "/tcgplayer/3/groups": [429],
        "/tcgplayer/3/604/products": ["cut"],
        prices: [500, 502, 503, 500],
    }
    failed = (await scene.fetching("tcgcsv")).fetch
    assert failed.error.startswith("away: tcgplayer/3/604/prices: it answered 500")
    assert failed.next_time - failed.end_time == timedelta(minutes=1)
    assert 7.0 in scene.waits
    assert await world.rows("snapshots") == 0
    before = len(scene.server.asked)
    done = (await scene.fetching("tcgcsv")).fetch
    assert (done.state.name, done.attempts) == ("SUCCEEDED", 2)
    assert scene.server.asked[before:] == ["/last-updated.txt", prices]
    assert await world.rows("snapshots") == 1


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("604/prices", b"<html>", "prices: body: expected JSON"),
        ("604/prices", answer([{"productId": "7"}]), "no price"),
        ("604/prices", answer([PRICES[0] | {"marketPrice": "9"}]), "prices: marketPrice: expected"),
        (
            "604/prices",
            answer([PRICES[0] | {"subTypeName": None}]),
            "prices: subTypeName: expected",
        ),
        ("604/products", answer([{"productId": 1}]), "products: name: expected a text"),
        ("groups", answer([GROUPS], totalItems=2), "groups: results: expected 2 of them"),
        ("groups", answer([], success=False), "groups: success: expected true"),
    ],
)
async def test_another_shape_is_told_by_part_and_field_and_nothing_is_taken(
    scene, world, path, body, told
):
    scene.server.bodies[f"/tcgplayer/3/{path}"] = body
    failed = (await scene.fetching("tcgcsv")).fetch
    if told == "no price":
        told = "tcgplayer: results: expected a price at least"
    assert failed.error.startswith("drift: ")
    assert told in failed.error
    assert await world.rows("imports") == 0


async def test_a_schedule_asks_when_it_is_time_and_makes_up_for_a_downtime(scene, world):
    now = world.clock.now()
    at = (now + timedelta(hours=1)).strftime("%H:%M")
    [daily] = schedule(f"tcgcsv={at}@UTC")
    scheduling = Scheduling(world.db, world.clock, scene.fetching, [daily])
    assert await scheduling.look(daily)  # yesterday's time passed while nothing ran
    assert not await scheduling.look(daily)
    world.clock.advance(3599 - now.second)
    again = Scheduling(world.db, world.clock, scene.fetching, [daily])
    assert not await again.look(daily)
    world.clock.advance(120)
    scene.server.bodies["/last-updated.txt"] = b"2025-05-21T20:05:12+0000\n"
    assert await again.look(daily)
    days = await world.db.fetch("select day from snapshots order by day")
    assert [row[0] for row in days] == [date(2025, 5, 20), date(2025, 5, 21)]
    scene.server.bodies["/last-updated.txt"] = b"tomorrow"
    world.clock.advance(86400)
    assert await again.look(daily)
    assert not await again.look(daily)  # not at once


async def test_what_is_said_of_sources(scene, world):
    [daily] = schedule("tcgcsv=21:30@UTC")
    tokens = PageTokens(bytes(32), world.clock)

    async def client(off):
        servicer = SourceServicer(
            world.db, tokens, world.clock, scene.fetching, {"tcgcsv": daily}, off
        )
        async with serving(
            (sources_pb2_grpc.add_SourceServiceServicer_to_server, servicer)
        ) as server:
            stub = sources_pb2_grpc.SourceServiceStub(server.channel(operator(Role.OPERATOR)))
            yield stub

    async for stub in client({}):
        fetched = await stub.FetchSource(pb.FetchSourceRequest(name="sources/tcgcsv"))
        assert (fetched.day, fetched.state) == ("2025-05-20", pb.SourceFetch.STATE_SUCCEEDED)
        [source] = (await stub.ListSources(pb.ListSourcesRequest())).sources
        assert (source.state, source.last_fetch) == (pb.Source.STATE_SCHEDULED, fetched)
        listed = await stub.ListSourceFetches(pb.ListSourceFetchesRequest(parent=source.name))
        assert list(listed.fetches) == [fetched]
    async for stub in client({"tcgcsv": "PQ_MARKET_CONTACT is not set"}):
        [source] = (await stub.ListSources(pb.ListSourcesRequest())).sources
        assert (source.state, source.reason) == (
            pb.Source.STATE_OFF,
            "PQ_MARKET_CONTACT is not set",
        )
        with pytest.raises(AppError) as caught:
            await stub.FetchSource(pb.FetchSourceRequest(name="sources/tcgcsv"))
        assert caught.value.reason == "source_off"


async def test_a_fetch_that_takes_long_goes_on_when_nobody_waits(scene, world):
    held = asyncio.Event()

    async def slow(_seconds):
        await held.wait()

    polite = Polite(scene.server.url, Manners("ops@shop.example"), world.clock, slow)

    class Slow:
        """The first answer comes at once, the others when they may."""

        async def get(self, part):
            if part != "last-updated.txt":
                return await polite.get(part)
            return await scene.polite.get(part)

    fetching = Fetching(
        world.db,
        world.clock,
        world.ingest,
        open_raw(str(world.raw)),
        scene.fetching.adapters,
        lambda _: Slow(),
    )
    tokens = PageTokens(bytes(32), world.clock)
    servicer = SourceServicer(world.db, tokens, world.clock, fetching, {}, {}, patience=0.05)
    async with serving((sources_pb2_grpc.add_SourceServiceServicer_to_server, servicer)) as server:
        stub = sources_pb2_grpc.SourceServiceStub(server.channel(operator(Role.OPERATOR)))
        request = pb.FetchSourceRequest(name="sources/tcgcsv")
        for _ in range(2):
            asked = await stub.FetchSource(request)
            assert (asked.day, asked.state) == ("2025-05-20", pb.SourceFetch.STATE_RUNNING)
        held.set()

        async def done():
            listed = await stub.ListSourceFetches(
                pb.ListSourceFetchesRequest(parent="sources/tcgcsv")
            )
            return listed.fetches[0].state == pb.SourceFetch.STATE_SUCCEEDED

        await until(done, "the fetch did not go on")
    await polite.close()


async def test_a_key_goes_with_each_request_and_is_told_to_nobody(world):
    async with Server() as server:
        manners = Manners("ops@shop.example", headers={"x-api-key": "k-1"}, query={"t": "s-2"})
        assert "k-1" not in repr(manners)
        assert "s-2" not in repr(manners)

        async def sleep(_seconds):
            pass

        polite = Polite(server.url, manners, world.clock, sleep)
        server.bodies = {"/a?b=c&t=s-2": b"yes"}
        server.faults = {"/gone?t=s-2": [404]}
        assert await polite.get("a?b=c") == b"yes"
        assert server.keys == {"k-1"}
        with pytest.raises(AwayError) as caught:
            await polite.get("gone")
        assert "s-2" not in str(caught.value)
        await polite.close()
