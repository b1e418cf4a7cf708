"""A market on a real database: files in, events and rows out."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import date
from hashlib import sha256
from pathlib import Path

from libs.db import Database, migrate
from libs.events import outbox
from libs.events.catalog import Catalog
from libs.events.outbox import Outbox
from pq.market.v1.market_events_pb2 import PricesChanged, SnapshotPublished
from services.market.app import MIGRATIONS
from services.market.domain.imports import Kind
from services.market.domain.terms import Terms
from services.market.handlers.ingest import ImportFile, Ingest, Limits, Outcome
from services.market.store.raw import open_raw

HEADING = "date,category,group_id,product_id,subtype,market,low,mid,high,direct_low"
SOURCES = {
    "tcgplayer": Terms("USD", "near_mint"),
    "cardmarket": Terms("EUR"),
    "justtcg": Terms("USD", "near_mint"),
    "justtcg-damaged": Terms("USD", "damaged"),
}
FOLDERS = [
    ("events", Path(outbox.__file__).with_name("migrations")),
    ("market", MIGRATIONS),
]


def row(day: str, product: int, market: str, printing: str = "Holofoil", low: str = "") -> str:
    """A line of a price file."""
    return f"{day},pokemon,604,{product},{printing},{market},{low},,,"


def prices(day: str, markets: dict[int, str]) -> bytes:
    """A price file: product to market price."""
    lines = [HEADING, *(row(day, product, market) for product, market in markets.items())]
    return ("\r\n".join(lines) + "\r\n").encode()


def card(product: int) -> str:
    """The id of a card of `prices`."""
    return f"pokemon-{product}-holofoil"


class World:
    """The use case on a database, and what it left in the outbox."""

    def __init__(self, db: Database, clock, ids, raw: Path) -> None:
        self.raw = raw
        self.db = db
        self.clock = clock
        self.ids = ids
        self.ingest = self.another()

    def another(self, limits: Limits | None = None) -> Ingest:
        """The use case as a second process would have it: nothing remembered."""
        return Ingest(
            self.db, self.clock, self.ids, SOURCES, limits or Limits(), open_raw(str(self.raw))
        )

    async def take(self, data: bytes, ingest: Ingest | None = None, **values) -> Outcome:
        """Takes a file in."""
        return await (ingest or self.ingest)(file(data, **values))

    async def day(self, day: str, markets: dict[int, str], **values) -> Outcome:
        """Takes a day of prices in."""
        return await self.take(prices(day, markets), **values)

    async def sent(self) -> list[PricesChanged | SnapshotPublished]:
        """Takes the events out of the outbox, in order."""
        rows = await self.db.fetch(
            "with gone as (delete from event_outbox returning *) select * from gone order by id"
        )
        types = {kind.DESCRIPTOR.full_name: kind for kind in (PricesChanged, SnapshotPublished)}
        return [types[row["type"]].FromString(row["payload"]) for row in rows]

    async def changes(self) -> list[PricesChanged]:
        """The same, of prices alone."""
        return [event for event in await self.sent() if isinstance(event, PricesChanged)]

    async def rows(self, table: str) -> int:
        """How many rows a table has."""
        return await self.db.fetchval(f"select count(*) from {table}")


def file(
    data: bytes,
    *,
    kind: Kind = Kind.PRICES,
    source: str = "tcgplayer",
    backfill: bool = False,
    day: date | None = None,
    packed: bool | None = None,
) -> ImportFile:
    """The command for a file."""
    return ImportFile(kind, source, day, "a.csv", packed, backfill, data, sha256(data).hexdigest())


def flat(events: Iterable[PricesChanged]) -> dict[str, tuple]:
    """Card to (price, previous, previous day, newest, mode)."""
    return {
        change.card: (
            change.price if change.HasField("price") else None,
            change.previous_price if change.HasField("previous_price") else None,
            change.previous_day,
            event.newest,
            event.mode,
        )
        for event in events
        for change in event.changes
    }


async def open_world(dsn: str, clock, ids, raw: Path) -> World:
    """A migrated database with an outbox."""
    await migrate(dsn, FOLDERS)
    box = Outbox(Catalog.load(), "/pq/market", ids, clock)
    db = await Database.connect(dsn, application="test", max_size=4, outbox=box)
    return World(db, clock, ids, raw)


def squeeze(data: bytes) -> bytes:
    """gzip without a time in it."""
    return gzip.compress(data, mtime=0)


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 30) -> None:
    """Waits for a condition; `what` says what is wrong when the time is over."""
    ends = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < ends, what
        await asyncio.sleep(0.05)
