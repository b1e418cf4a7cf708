"""An account is erased: nothing of it is left in alerts, also of what comes late."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from libs.api.erasure import PASSES, Erasures
from libs.api.wire import resource_name, stamp
from libs.events import Received, Record
from libs.testing import rpc
from pq.accounts.v1 import accounts_events_pb2 as events
from pq.alerts.v1 import alerts_pb2 as pb
from services.alerts import consumer
from services.alerts.handlers import erasure
from services.alerts.handlers.erasure import Removals
from tests.integration.alerts import world
from tests.integration.alerts.place import CARD, above, create

TABLES = ("alerts", "firings", "holds", "request_keys")


@pytest.fixture
def erasures(place):
    return Erasures(place.db, place.clock, Removals(place.db, place.clock).erase)


def changed(account: UUID, change: int, clock, ids):
    event = events.AccountChanged(
        account=resource_name("accounts", "acc", account),
        change=change,
        change_time=stamp(clock.now()),
    )
    spec = world.CATALOG.spec(event)
    record = Record(ids.uuid(), spec.topic, 0, event.account, spec.type, clock.now(), "/pq", b"")
    return Received(record, 0, event)


async def tell(place, erasures, *received):
    handle = consumer.account_handlers(erasures)[events.AccountChanged]
    async with place.db.transaction() as tx:
        await handle(tx, list(received))


async def left(db):
    counts = {name: await db.fetchval(f"select count(*) from {name}") for name in TABLES}
    return {name: count for name, count in counts.items() if count}


async def fired(place, day=date(2025, 6, 1)):
    up = [world.price_change(CARD, 1100, 900, day - timedelta(1))]
    event = world.prices_changed(day, up, place.clock.now())
    await world.handle(place.db, place.clock, event)


async def test_nothing_of_an_erased_account_is_left_and_others_keep_theirs(
    place, alerts, owner, ids, erasures, monkeypatch
):
    monkeypatch.setattr(erasure, "BATCH", 1)  # several steps
    other = place.stub(rpc.account(ids.uuid()))
    await other.CreateAlert(create(above("10"), "key"))
    kept = await left(place.db)
    for number in range(2):
        await alerts.CreateAlert(create(above("10"), f"key {number}"))
    moving = pb.Condition(percentage_change={"percent": 1})
    await alerts.CreateAlert(create(pb.Alert(card=f"cards/{CARD}", condition=moving)))
    await fired(place)
    gone = changed(owner.account, events.ACCOUNT_CHANGE_ERASED, place.clock, ids)
    await tell(place, erasures, gone, gone)
    assert len((await alerts.ListAlerts(pb.ListAlertsRequest())).alerts) == 3
    await erasures.run()
    assert await left(place.db) == {**kept, "firings": 1}


async def test_what_comes_with_the_last_access_token_goes_with_the_next_pass(
    place, alerts, owner, ids, erasures
):
    await tell(
        place, erasures, changed(owner.account, events.ACCOUNT_CHANGE_ERASED, place.clock, ids)
    )
    await erasures.run()
    await alerts.CreateAlert(create(above()))
    await erasures.run()
    assert await left(place.db) == {"alerts": 1}
    for wait in PASSES[1:]:
        place.clock.advance(wait.total_seconds())
        await erasures.run()
    assert await left(place.db) == {}
    assert await place.db.fetchval("select count(*) from erasures") == 0


async def test_other_changes_erase_nothing(place, alerts, owner, ids, erasures):
    await alerts.CreateAlert(create(above()))
    for change in (events.ACCOUNT_CHANGE_CREATED, events.ACCOUNT_CHANGE_EXPORTED):
        await tell(place, erasures, changed(owner.account, change, place.clock, ids))
    await erasures.run()
    assert await left(place.db) == {"alerts": 1}
