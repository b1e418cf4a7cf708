"""From when on an alert watches: an older price that is evaluated late is no news to it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from libs.ids import Ids
from services.alerts.domain.conditions import Condition, Kind
from services.alerts.store import alerts as store
from tests.integration.alerts import world

CARD = "pokemon-1-normal"
ABOVE = Condition(Kind.PRICE_ABOVE, 1000, "USD")


@pytest.mark.parametrize(("seconds", "fires"), [(-1, 0), (0, 1), (1, 1)])
async def test_a_price_accepted_before_the_alert_was_made_is_no_news_to_it(
    db, clock, ids: Ids, seconds, fires
):
    accepted = clock.now() + timedelta(seconds=seconds)
    async with db.transaction() as tx:
        await world.insert(tx, world.new_alert(ids, clock, CARD, ABOVE))
    rise = world.price_change(CARD, 1200, 800, date(2025, 5, 31))
    await world.handle(db, clock, world.prices_changed(date(2025, 6, 1), [rise], accepted))
    assert len(await world.announced(db)) == fires


async def test_an_alert_that_was_started_again_does_not_make_up_for_what_it_missed(db, clock, ids):
    alert = world.new_alert(ids, clock, CARD, ABOVE)
    async with db.transaction() as tx:
        await world.insert(tx, alert)
    clock.advance(60)
    accepted = clock.now()
    clock.advance(60)
    async with db.transaction() as tx:
        await store.save(tx, replace(alert, watch_time=clock.now()))
    rise = world.price_change(CARD, 1200, 800, date(2025, 5, 31))
    await world.handle(db, clock, world.prices_changed(date(2025, 6, 1), [rise], accepted))
    assert await world.announced(db) == []


async def test_what_fires_says_what_the_card_is_called(db, clock, ids):
    async with db.transaction() as tx:
        for name in ("", "Charizard", "Charizard ex", ""):
            await store.insert(tx, world.new_alert(ids, clock, CARD, ABOVE), name)
    rise = world.price_change(CARD, 1200, 800, date(2025, 5, 31))
    await world.handle(db, clock, world.prices_changed(date(2025, 6, 1), [rise], clock.now()))
    told = {event.card_display_name for _, event in await world.announced(db)}
    assert told == {"Charizard ex"}  # the last that was known
