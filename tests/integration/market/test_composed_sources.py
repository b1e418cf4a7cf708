"""Sources whose parts are made of many files, or of one too large to be held."""

import json
from datetime import date

import pytest

from services.market.handlers.fetching import Fetching
from services.market.sources.adapter import AwayError
from services.market.sources.polite import MAX_LINE, Manners, Polite
from services.market.sources.scryfall import Scryfall
from services.market.sources.tcgdex import Tcgdex
from services.market.store.raw import open_raw
from tests.integration.market.test_sources import Server

MAGIC = {
    "object": "card",
    "id": "0000419b-0bba-4488-8f7a-6194544ce91e",
    "name": "Forest · Île",
    "lang": "en",
    "set_name": "Bloomburrow",
    "collector_number": "280",
    "scryfall_uri": "https://cards.example/blb/280",
    "cmc": 0.0,
    "prices": {"usd": "0.19", "usd_foil": "1.5", "usd_etched": None, "eur": "0.22", "tix": "0.03"},
}
LISTED = {
    "object": "bulk_data",
    "type": "default_cards",
    "updated_at": "2025-05-21T01:07:30.1-03:00",
}


def cards(*found):
    """As the file is: a card a line."""
    return ("[\n" + ",\n".join(json.dumps(one) for one in found) + "\n]\n").encode()


def priced(unit="USD", **printings):
    return {"tcgplayer": {"updated": "2025-05-20T20:07:54.000Z", "unit": unit} | printings}


HOLO = {"productId": 42382, "lowPrice": 400, "midPrice": None, "highPrice": 999.0,
        "marketPrice": 462.27, "directLowPrice": 0}  # fmt: skip


class Scene:
    def __init__(self, world, server):
        async def sleep(_seconds):
            pass

        self.world, self.server = world, server
        self.polite = Polite(server.url, Manners("ops@shop.example"), world.clock, sleep)
        adapters = [Scryfall(server.url), Tcgdex(server.url)]
        self.fetching = Fetching(
            world.db,
            world.clock,
            world.ingest,
            open_raw(str(world.raw)),
            {one.name: one for one in adapters},
            lambda _: self.polite,
        )
        self.bodies = server.bodies = {}

    async def fetch(self, name):
        """What became of it, and the products that wait, as (id, printing, name, market)."""
        asked = await self.fetching(name)
        rows = await self.world.db.fetch(
            "select product, printing, display_name, url from source_products"
            " order by product, printing"
        )
        return asked, [tuple(row) for row in rows]

    def serve_magic(self, *found, uri="/file/default.json"):
        told = LISTED | {"download_uri": f"{self.server.url}{uri}"}
        self.bodies["/bulk-data/default-cards"] = json.dumps(told).encode()
        self.bodies[uri] = cards(*found)

    def serve_pokemon(self, **found):
        """Sets to their cards: id to pricing."""
        sets = [{"id": id, "name": id.title()} for id in found]
        self.bodies["/v2/en/sets"] = json.dumps(sets).encode()
        for of, told in zip(sets, found.values(), strict=True):
            briefs = [{"id": id, "localId": "4", "name": "Glurak"} for id in told]
            serie = {"id": "tcgp" if of["id"] == "pocket" else "base"}
            body = of | {"serie": serie, "cards": briefs}
            self.bodies[f"/v2/en/sets/{of['id']}"] = json.dumps(body).encode()
            for brief, pricing in zip(briefs, told.values(), strict=True):
                card = brief | {"pricing": pricing}
                self.bodies[f"/v2/en/cards/{brief['id']}"] = json.dumps(card).encode()


@pytest.fixture
async def scene(world):
    async with Server() as server:
        made = Scene(world, server)
        yield made
        await made.polite.close()


async def test_of_a_large_list_the_cards_with_a_price_are_kept(scene):
    japanese = MAGIC | {"id": "b", "lang": "ja", "prices": {"usd": "12", "usd_foil": None}}
    digital = MAGIC | {"id": "c", "prices": {"usd": None, "tix": "1.00"}}
    scene.serve_magic(MAGIC, japanese, digital)
    asked, waiting = await scene.fetch("scryfall")
    assert (asked.day, asked.fetch.error) == (
        date(2025, 5, 21),
        (
            "unmatched: none of 3 products is matched to a card that is known; they wait at"
            " /v1/sourceProducts"
        ),
    )
    name, page = "Forest · Île · Bloomburrow · 280", MAGIC["scryfall_uri"]
    assert waiting == [
        (MAGIC["id"], "foil", name, page),
        (MAGIC["id"], "nonfoil", name, page),
        ("b", "nonfoil", f"{name} · ja", page),
    ]
    # What was kept is read again, and the list is not.
    asked = len(scene.server.asked)
    await scene.fetch("scryfall")
    assert scene.server.asked[asked:] == ["/bulk-data/default-cards"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prices": "0.19"}, "drift: default-cards.jsonl: prices: expected an object"),
        ({"prices": {"usd": 0.19}}, "prices.usd: expected a decimal number as a text"),
        ({"prices": {"usd": "1,90"}}, "prices.usd: expected a decimal number as a text"),
        ({"prices": {}}, "prices: expected a price at least"),
        ({"id": None}, "id: expected a text"),
        ({"text": "x" * MAX_LINE}, "away: "),
    ],
)
async def test_a_list_of_another_shape_is_told(scene, change, told):
    scene.serve_magic(MAGIC | change)
    asked, waiting = await scene.fetch("scryfall")
    assert told in asked.fetch.error
    assert waiting == []


@pytest.mark.parametrize("line", ["{", "7"])
async def test_a_line_of_a_list_that_is_no_card_is_told(scene, line):
    scene.serve_magic(MAGIC)
    scene.bodies["/file/default.json"] += line.encode() + b"\n"
    asked, _ = await scene.fetch("scryfall")
    assert asked.fetch.error.startswith("drift: default-cards.jsonl: body: expected")


async def test_a_list_that_breaks_off_is_taken_whole_the_next_time(scene):
    scene.serve_magic(*[MAGIC | {"id": f"{n}"} for n in range(50)])
    path = "/file/default.json"
    scene.server.faults = {path: ["cut", 503]}
    for _ in range(2):
        asked, waiting = await scene.fetch("scryfall")
        assert asked.fetch.error.startswith("away: ")
        assert waiting == []
    _, waiting = await scene.fetch("scryfall")
    assert len(waiting) == 100


async def test_another_server_is_told_no_key(world):
    async with Server() as first, Server() as second:
        manners = Manners("ops@shop.example", headers={"x-api-key": "k-1"}, query={"t": "s-2"})

        async def sleep(_seconds):
            pass

        polite = Polite(first.url, manners, world.clock, sleep)
        second.bodies = {"/list": b"a\r\nb"}
        assert [line async for line in polite.lines(f"{second.url}/list")] == [b"a", b"b"]
        assert (second.asked, second.keys) == (["/list"], set())
        with pytest.raises(AwayError):
            [line async for line in polite.lines("http://127.0.0.1:9/list")]
        await polite.close()


async def test_a_set_is_asked_for_card_by_card_and_kept_as_one(scene, world):
    base = {
        "base1-4": priced(holofoil=HOLO, normal={"marketPrice": None}),
        "base1-5": None,
        "base1-6": {"cardmarket": {"trend": 3}},
    }
    other = {"sv1-1": priced(normal=HOLO | {"productId": None}, **{"reverse-holofoil": HOLO})}
    scene.serve_pokemon(base1=base, pocket={"A1-1": priced(normal=HOLO)}, sv1=other)
    scene.server.faults = {"/v2/en/cards/sv1-1": [404]}
    asked, waiting = await scene.fetch("tcgdex")
    assert (asked.day, waiting) == (date(2025, 5, 20), [])
    assert asked.fetch.error == "away: v2/en/cards/sv1-1: it answered 404"
    before = len(scene.server.asked)
    assert "/v2/en/cards/A1-1" not in scene.server.asked
    asked, waiting = await scene.fetch("tcgdex")
    page = "https://www.tcgplayer.com/product/42382"
    assert waiting == [
        ("base1-4", "holofoil", "Glurak · Base1 · 4", page),
        ("sv1-1", "normal", "Glurak · Sv1 · 4", ""),
        ("sv1-1", "reverse-holofoil", "Glurak · Sv1 · 4", page),
    ]
    # The set that was whole is not asked for again.
    assert scene.server.asked[before:] == [
        "/v2/en/cards/base1-4",
        "/v2/en/sets/sv1",
        "/v2/en/cards/sv1-1",
    ]


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v2/en/sets", b"{}", "v2/en/sets: body: expected a list of objects"),
        ("/v2/en/sets/base1", b'{"cards": {}}', "v2/en/sets/base1: cards: expected"),
        ("/v2/en/cards/base1-5", b'{"pricing": []}', "pricing: expected an object"),
        (
            "/v2/en/cards/base1-5",
            json.dumps({"id": "base1-5", "pricing": priced("EUR", normal=HOLO)}).encode(),
            "pricing.tcgplayer.unit: expected USD",
        ),
        (
            "/v2/en/cards/base1-5",
            json.dumps({"id": "base1-5", "pricing": priced(normal={"lowPrice": "1"})}).encode(),
            "pricing.tcgplayer.normal.lowPrice: expected a number or null",
        ),
    ],
)
async def test_a_tcgdex_of_another_shape_is_told(scene, path, body, told):
    scene.serve_pokemon(base1={"base1-4": priced(holofoil=HOLO), "base1-5": None})
    scene.bodies[path] = body
    asked, waiting = await scene.fetch("tcgdex")
    assert asked.fetch.error.startswith("drift: ")
    assert told in asked.fetch.error
    assert waiting == []
