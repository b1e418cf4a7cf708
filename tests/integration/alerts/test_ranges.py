"""The ranges that a price change is in SQL find every rule that the definition fires."""

from __future__ import annotations

from datetime import date, timedelta

from services.alerts.domain.conditions import MAX_SCALED, WHOLE, Condition, Kind
from services.alerts.domain.evaluation import Change, Outcome, Rule, decide
from services.alerts.domain.money import MAX_HUNDREDTHS
from services.alerts.store import evaluation as store
from tests.integration.alerts import world

CARD, DAY = "pokemon-1-normal", date(2025, 6, 1)
PRICES = [None, 1, 2, 3, 7, MAX_HUNDREDTHS, 2**31 - 1, 10**15]


def conditions():
    """Levels at and beside each price; percentages at and beside what each move reaches."""
    near = {p + d for p in PRICES if p for d in (-1, 0, 1)}
    for kind in (Kind.PRICE_ABOVE, Kind.PRICE_BELOW):
        yield from (Condition(kind, v, "USD") for v in near if 0 < v <= MAX_HUNDREDTHS)
    reach = {abs(n - p) * WHOLE // p for p in PRICES for n in PRICES if p and n}
    shares = {r + d for r in reach for d in (-1, 0, 1)} | {MAX_SCALED}
    for kind in (Kind.MOVE, Kind.MOVE_UP, Kind.MOVE_DOWN):
        yield from (Condition(kind, v) for v in shares if 0 < v <= MAX_SCALED)


async def test_the_ranges_of_a_change_hold_exactly_what_fires(db, clock, ids):
    alerts = [world.new_alert(ids, clock, CARD, condition) for condition in conditions()]
    async with db.transaction() as tx:
        await world.insert(tx, *alerts)
    for previous in [*PRICES, 0]:
        for price in PRICES:
            change = Change(CARD, "USD", DAY, price, previous, DAY - timedelta(1))
            asked = store.Priced(CARD, "s", DAY, 1, price, previous, corrects=False)
            async with db.transaction() as tx:
                found = {candidate.alert for candidate in await store.candidates(tx, [asked])}
            fires = {
                alert.id
                for alert in alerts
                if decide(Rule(alert.condition), change, clock.now()).outcome is Outcome.FIRES
            }
            assert found == fires, (previous, price)


async def test_a_correction_looks_at_every_percentage_of_its_card(db, clock, ids):
    alerts = [world.new_alert(ids, clock, CARD, condition) for condition in conditions()]
    async with db.transaction() as tx:
        await world.insert(tx, *alerts)
        for price in (None, 2, 3):
            asked = store.Priced(CARD, "s", DAY, 1, price, 2, corrects=True)
            found = {candidate.alert for candidate in await store.candidates(tx, [asked])}
            percentages = {a.id for a in alerts if not a.condition.kind.is_level}
            assert percentages <= found


async def test_a_card_that_nobody_watches_has_no_candidates(db):
    async with db.transaction() as tx:
        asked = store.Priced(CARD, "s", DAY, 1, 10, 5, corrects=False)
        assert await store.candidates(tx, [asked]) == []
