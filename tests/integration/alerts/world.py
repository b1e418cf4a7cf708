"""Alerts' own database with the real outbox, and prices handed in as the consumer hands them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from libs.api import idempotency
from libs.clock import Clock
from libs.db import Database, Tx, migrate
from libs.events import MIGRATIONS as EVENTS
from libs.events import Catalog, Outbox, Received, Record
from libs.ids import Ids
from pq.alerts.v1 import alerts_events_pb2
from pq.market.v1 import market_events_pb2 as events
from pq.market.v1 import market_pb2
from services.alerts import consumer
from services.alerts.app import MIGRATIONS
from services.alerts.domain.alerts import Alert
from services.alerts.domain.conditions import Condition
from services.alerts.store import alerts as store

CATALOG = Catalog.load()


async def open_database(dsn: str, clock: Clock) -> Database:
    """Migrated; its events go to the real outbox, which no relay empties."""
    await migrate(
        dsn, [("events", EVENTS), ("api", idempotency.MIGRATIONS), ("alerts", MIGRATIONS)]
    )
    outbox = Outbox(CATALOG, "/pq/alerts", Ids(clock), clock)
    return await Database.connect(dsn, application="test-alerts", outbox=outbox)


def price_change(
    card: str, price: int | None, previous: int | None = None, previous_day: date | None = None
) -> events.PriceChange:
    """One card's change, in hundredths."""
    return events.PriceChange(
        card=card,
        price=price,
        previous_price=previous,
        previous_day=previous_day.isoformat() if previous_day else "",
    )


def prices_changed(
    day: date, changes: Sequence[events.PriceChange], now: datetime, **more: object
) -> events.PricesChanged:
    """An event of the market's: news, unless `more` says otherwise."""
    event = events.PricesChanged(
        source="tcgplayer",
        currency_code="USD",
        day=day.isoformat(),
        version=1,
        mode=market_pb2.MODE_LIVE,
        newest=True,
        changes=changes,
        **{"import": "imports/imp_1"},
    )
    event.accept_time.FromDatetime(now)
    for name, value in more.items():
        setattr(event, name, value)
    return event


def received(event: events.PricesChanged, clock: Clock) -> Received[events.PricesChanged]:
    """The event as a consumer hands it over."""
    spec = CATALOG.spec(event)
    record = Record(
        Ids(clock).uuid(), spec.topic, 0, "0", spec.type, clock.now(), "/pq/market", b""
    )
    return Received(record, 0, event)


async def handle(db: Database, clock: Clock, *batch: events.PricesChanged) -> None:
    """One batch, in one transaction, as often as it is called: there is no inbox before it."""
    async with db.transaction() as tx:
        await handle_in(tx, clock, *batch)


async def handle_in(tx: Tx, clock: Clock, *batch: events.PricesChanged) -> None:
    """The same, in a transaction of the caller's."""
    on_prices = consumer.handlers(clock)[events.PricesChanged]
    await on_prices(tx, [received(event, clock) for event in batch])


async def announced(db: Database) -> list[tuple[UUID, alerts_events_pb2.AlertTriggered]]:
    """(event id, event) of everything in the outbox, in its order."""
    rows = await db.fetch("select event_id, payload from event_outbox order by id")
    parse = alerts_events_pb2.AlertTriggered.FromString
    return [(row["event_id"], parse(row["payload"])) for row in rows]


def new_alert(
    ids: Ids, clock: Clock, card: str, condition: Condition, account: UUID | None = None
) -> Alert:
    """An active alert, not stored yet."""
    now = clock.now()
    owner = account or UUID(bytes=random.Random(1).randbytes(16), version=4)
    return Alert(ids.uuid(), owner, card, condition, "a note", None, True, now, now, now)


async def insert(tx: Tx, *alerts: Alert) -> None:
    """Stores alerts as the servicer's handlers do."""
    for alert in alerts:
        await store.insert(tx, alert)
