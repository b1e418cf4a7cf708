"""A full day of prices into the market, beside what psql does with the same rows.

The days are the real ones where they lie beside the repository (PQ_SHARED_DATA names another
place), else generated with the same shape. The curve multiplies the generated rows.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np

from libs.api.paging import PageTokens
from libs.clock import SystemClock
from libs.ids import Ids
from libs.local.cluster import program
from libs.local.postgres import EmbeddedPostgres
from pq.market.v1 import market_pb2 as pb
from services.market import demo
from services.market.domain import money, packing, prices
from services.market.domain.changes import Ints
from services.market.domain.imports import Kind
from services.market.domain.prices import Cents
from services.market.handlers.browsing import Browsing
from services.market.handlers.ingest import ImportFile, Limits
from services.market.handlers.release import Release
from services.market.servicer.market import MarketServicer
from services.market.store import quotes
from tests.bench import Row
from tests.integration.market.world import World, open_world

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("PQ_SHARED_DATA", ROOT.parent / "shared" / "data"))
CARDS = 60_000
FIRST = date(2025, 6, 1)
REPEATS = 3


async def run(scale: int) -> list[Row]:
    """A few days one after another, the storing alone, reads, and the demo market."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            await server.ready()
            clock = SystemClock()
            world = await open_world(
                server.dsn("postgres"), clock, Ids(clock), Path(folder) / "raw"
            )
            try:
                rows = await _ingest(world, scale)
                rows += await _storing(world, server, scale, Path(folder))
                rows += await _reads(world, scale)
                if scale == 1:
                    rows.append(await _demo(world))
            finally:
                await world.db.close()
            return rows
        finally:
            server.stop()


async def _ingest(world: World, scale: int) -> list[Row]:
    taken, parsing, note = [], [], ""
    world.ingest = world.another(_unlimited())
    for data in days(scale):
        began = time.perf_counter()
        prices.parse(_plain(data), day=None, latest=date.max, max_rows=10**8)
        parsing.append(time.perf_counter() - began)
        began = time.perf_counter()
        outcome = await world.ingest(_file(data))
        taken.append(time.perf_counter() - began)
        note = f"{outcome.item.accepted_count:,} rows, {outcome.item.change_count:,} changes"
    day = statistics.median(taken[1:])
    return [
        Row("market.parse_day", scale, min(parsing), "s", 0.3 * scale, at_least=False, note=note),
        Row("market.first_day", scale, taken[0], "s", note="every card is new"),
        Row("market.ingest_day", scale, day, "s", 1.5 * scale, at_least=False, note=note),
    ]


async def _storing(world: World, server: EmbeddedPostgres, scale: int, folder: Path) -> list[Row]:
    """The same rows into the same table: ours by turns with psql's."""
    source = await world.db.fetchval("select min(source) from sources")
    cards, cents = await quotes.read_day(world.db, source, FIRST)
    order = np.argsort(cards)
    cards, cents = cards[order], cents[order]
    ours, theirs = [], []
    for n in range(REPEATS):
        day = FIRST + timedelta(10 + 2 * n)
        began = time.perf_counter()
        async with world.db.transaction() as tx:
            await quotes.insert(tx, source, day, cards, cents)
        ours.append(len(cards) / (time.perf_counter() - began))
        path = folder / "day.csv"
        _write(path, source, day + timedelta(1), cards, cents)
        theirs.append(len(cards) / await asyncio.to_thread(_psql, server, path))
    rate, rival = statistics.median(ours), statistics.median(theirs)
    return [
        Row(
            "market.stored_rows",
            scale,
            rate,
            "rows/s",
            rival / 2,
            rival="psql \\copy",
            rival_value=rival,
            note=f"{len(cards):,} rows of a day, commit included",
        )
    ]


def _write(path: Path, source: int, day: date, cards: Ints, cents: Cents) -> None:
    with path.open("w") as out:
        for card, values in zip(cards.tolist(), cents.tolist(), strict=True):
            shown = ",".join("" if value == money.NONE else str(value) for value in values)
            out.write(f"{card},{day},{shown},{source}\n")


def _psql(server: EmbeddedPostgres, path: Path) -> float:
    psql = program("psql")
    copy = f"\\copy quotes ({', '.join(quotes.COLUMNS)}) from '{path}' csv"
    command = [psql, "-X", server.dsn("postgres"), "-c", "\\timing on", "-c", copy]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    match = re.search(r"Time: ([0-9.]+) ms", told)
    assert match is not None, told
    return float(match[1]) / 1000


async def _reads(world: World, scale: int) -> list[Row]:
    rng = random.Random(1)
    browsing = Browsing(world.db)
    await browsing.refresh()
    service = MarketServicer(
        world.db,
        PageTokens(bytes(32), world.clock),
        browsing,
        Release(world.db, world.clock, world.ids),
    )
    ids = [row["id"] for row in await world.db.fetch("select id from cards")]

    async def listed() -> None:
        await service.ListCards(pb.ListCardsRequest(page_size=50, order_by="market desc"), None)

    async def history() -> None:
        parent = f"cards/{rng.choice(ids)}"
        await service.ListQuotes(pb.ListQuotesRequest(parent=parent), None)

    async def searched() -> None:
        query = rng.choice(["charzard", "pikchu", "umbreon vmax", "1st ediion", "base set"])
        await service.SearchCards(pb.SearchCardsRequest(query=query), None)

    async def counted() -> None:
        price = f"{rng.randint(1, 50)}.00"
        request = pb.SearchCardsRequest(min_price=price, page_size=1, facet_size=50)
        await service.SearchCards(request, None)

    return [
        Row("market.search_p99", scale, await _p99(searched), "ms", 10, at_least=False),
        Row("market.facets_p99", scale, await _p99(counted), "ms", 20, at_least=False),
        Row("market.list_cards_p99", scale, await _p99(listed), "ms", 10, at_least=False),
        Row("market.card_history_p99", scale, await _p99(history), "ms", 10, at_least=False),
    ]


async def _p99(call: Callable[[], Awaitable[None]]) -> float:
    taken = []
    for _ in range(500):
        began = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[-5] * 1000


async def _demo(world: World) -> Row:
    made = list(demo.files(date(2025, 6, 1)))
    began = time.perf_counter()
    for file in made:
        kind = Kind.CATALOG if file.day is None else Kind.PRICES
        await world.take(file.data, kind=kind, source="cardmarket", backfill=True)
    taken = time.perf_counter() - began
    return Row("market.demo_load", 1, taken, "s", 10, at_least=False, note=f"{len(made)} files")


def days(scale: int) -> list[bytes]:
    """Three full days, packed as they come."""
    found = sorted((SHARED / "full-days").glob("2*.csv.gz"))
    if scale == 1 and len(found) >= 3:
        return [path.read_bytes() for path in found[:3]]
    return [gzip.compress(data, 1) for data in generated(CARDS * scale)]


def generated(cards: int) -> list[bytes]:
    """Three days of which the later ones move one price in six."""
    rng = random.Random(2)
    values = [rng.randrange(5, 50_000) for _ in range(cards)]
    made = []
    for step in range(3):
        day = FIRST + timedelta(step)
        lines = [",".join(prices.COLUMNS)]
        for product, cents in enumerate(values, 1000):
            price = "" if rng.random() < 0.11 else money.decimal(cents)
            around = money.decimal(cents + 5)
            lines.append(
                f"{day},pokemon,{600 + product % 300},{product},Normal,{price},{around},{around},"
                f"{around},"
            )
        made.append(("\r\n".join(lines) + "\r\n").encode())
        values = [cents + 1 if rng.random() < 1 / 6 else cents for cents in values]
    return made


def _plain(data: bytes) -> bytes:
    return packing.gunzip(data, 1 << 32)


def _unlimited() -> Limits:
    return Limits(packed_bytes=1 << 30, plain_bytes=1 << 31, rows=10**8, days_ahead=10**5)


def _file(data: bytes) -> ImportFile:
    digest = sha256(data).hexdigest()
    return ImportFile(Kind.PRICES, "tcgplayer", None, "day.csv.gz", None, False, data, digest)
