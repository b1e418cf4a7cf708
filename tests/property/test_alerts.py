"""The definition of firing, held against exact fractions, an independent oracle, and the database.

`decide` is the definition. The oracle of the end-to-end suite shares no code with it, and the
evaluation by set must agree with it for any rules and any prices, however they are batched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.api.wire import resource_name
from libs.ids import Ids
from libs.testing.clock import START, FakeClock
from pq.market.v1 import market_pb2
from services.alerts.domain.conditions import MAX_SCALED, WHOLE, Condition, Kind
from services.alerts.domain.evaluation import Change, Outcome, Rule, decide
from services.alerts.domain.money import MAX_HUNDREDTHS
from services.alerts.handlers.evaluate import event_id
from tests.e2e import oracle
from tests.integration.alerts import world


@pytest.fixture
async def alerts_db(empty_database, clock):
    database = await world.open_database(empty_database, clock)
    yield database
    await database.close()


FIRST = date(2025, 1, 1)
CARDS = ("pokemon-1-normal", "pokemon-2-holofoil", "pokemon-3-normal")

# Few values near each other, so that edges are hit, and a few far out.
cents = st.one_of(st.integers(1, 30), st.sampled_from([100, 2_147_483_647, 10**15]))
levels = st.one_of(st.integers(1, 30), st.sampled_from([100, MAX_HUNDREDTHS]))
shares = st.one_of(
    st.sampled_from([1, 100_000, 250_000, 333_333, 333_334, WHOLE, MAX_SCALED]),
    st.integers(1, 2 * WHOLE),
)
conditions = st.one_of(
    st.builds(
        Condition,
        st.sampled_from([Kind.PRICE_ABOVE, Kind.PRICE_BELOW]),
        levels,
        st.sampled_from(["USD", "USD", "USD", "EUR"]),
    ),
    st.builds(Condition, st.sampled_from([Kind.MOVE, Kind.MOVE_UP, Kind.MOVE_DOWN]), shares),
)


@given(price=cents, previous=cents, scaled=shares, kind=st.sampled_from(list(Kind)[2:]))
def test_a_percentage_is_reached_as_fractions_say(price, previous, scaled, kind):
    moved = Fraction(price - previous, previous) * 100
    asked = Fraction(scaled, WHOLE // 100)
    expected = {
        Kind.MOVE: abs(moved) >= asked,
        Kind.MOVE_UP: moved >= asked,
        Kind.MOVE_DOWN: -moved >= asked,
    }
    assert Condition(kind, scaled).reached(price, previous) == expected[kind]


@dataclass(frozen=True)
class Step:
    """A day of prices as it comes in: live, or as a correction of the day before it in the list."""

    day: date
    prices: dict[str, int | None]
    corrects: bool


@st.composite
def histories(draw, corrections=True):
    """Days in order; some are corrected before the next comes. None is no price on that day."""
    steps, day = [], FIRST
    price = st.one_of(st.none(), cents)
    for _ in range(draw(st.integers(1, 6))):
        day += timedelta(draw(st.integers(1, 2)))
        prices = draw(st.fixed_dictionaries(dict.fromkeys(CARDS, price)))
        steps.append(Step(day, prices, corrects=False))
        if corrections and draw(st.integers(0, 3)) == 0:
            prices = draw(st.fixed_dictionaries(dict.fromkeys(CARDS, price)))
            steps.append(Step(day, prices, corrects=True))
    return steps


def published(steps: list[Step]) -> list[tuple[Step, list[Change]]]:
    """What the market tells of each step; see its contract in market_events.proto."""
    known: dict[str, list[tuple[date, int]]] = {card: [] for card in CARDS}
    told = []
    for step in steps:
        found = []
        for card, price in step.prices.items():
            was = None
            if step.corrects and known[card] and known[card][-1][0] == step.day:
                was = known[card].pop()[1]
            previous_day, previous = known[card][-1] if known[card] else (None, None)
            differs = price != was if step.corrects else price not in (None, previous)
            if price is not None:
                known[card].append((step.day, price))
            if differs:
                found.append(
                    Change(card, "USD", step.day, price, previous, previous_day, step.corrects)
                )
        told.append((step, found))
    return told


def reference(
    told: list[tuple[Step, list[Change]]], rules: list[tuple[str, Rule]], now: datetime
) -> list[tuple[int, date]]:
    """(number of the rule, day) of everything that fires, by the definition, one at a time."""
    fired: list[tuple[int, date]] = []
    for _, found in told:
        for change in found:
            for number, (card, rule) in enumerate(rules):
                if card != change.card:
                    continue
                decision = decide(rule, change, now)
                rules[number] = (card, replace(rule, hold=decision.hold))
                if decision.outcome is Outcome.FIRES and (number, change.day) not in fired:
                    fired.append((number, change.day))
    return fired


@given(condition=conditions, steps=histories(corrections=False))
@settings(max_examples=300)
def test_the_definition_agrees_with_the_oracle(condition, steps):
    if condition.currency == "EUR":
        return
    kind = {Kind.PRICE_ABOVE: "above", Kind.PRICE_BELOW: "below"}.get(condition.kind, "percent")
    direction = {Kind.MOVE_UP: "up", Kind.MOVE_DOWN: "down"}.get(condition.kind, "both")
    percent = Fraction(condition.value, WHOLE // 100)
    asked = oracle.Alert("a", CARDS[0], kind, condition.value, percent, direction)
    prices = [
        (step.day.isoformat(), {c: p for c, p in step.prices.items() if p is not None})
        for step in steps
    ]
    fired = reference(published(steps), [(CARDS[0], Rule(condition))], START)
    assert [day.isoformat() for _, day in fired] == oracle.firing_days(asked, prices)


@given(condition=conditions, steps=histories())
@settings(max_examples=300)
def test_a_corrected_day_is_as_if_it_had_come_right_from_the_start(condition, steps):
    """Save for what the wrong price fired, which cannot be called back."""
    right = [
        replace(step, corrects=False)
        for step, later in zip(steps, [*steps[1:], None], strict=True)
        if later is None or not later.corrects
    ]
    corrected = {step.day for step in steps if step.corrects}
    as_came = reference(published(steps), [(CARDS[0], Rule(condition))], START)
    as_right = reference(published(right), [(CARDS[0], Rule(condition))], START)
    assert {d for _, d in as_came} - corrected == {d for _, d in as_right} - corrected
    assert {d for _, d in as_right} <= {d for _, d in as_came}


drawn_rules = st.lists(
    st.tuples(
        st.sampled_from(CARDS[:2]),
        st.builds(
            Rule,
            conditions,
            active=st.sampled_from([True, True, True, False]),
            snoozed_until=st.sampled_from([None, None, START, START + timedelta(hours=1)]),
        ),
    ),
    min_size=1,
    max_size=12,
)


@given(rules=drawn_rules, steps=histories(), cuts=st.lists(st.booleans(), min_size=12, max_size=12))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_the_database_fires_what_the_definition_fires(alerts_db, rules, steps, cuts):
    """Whatever the batches; and each batch handled twice fires nothing more."""
    db, clock = alerts_db, FakeClock()
    ids = Ids(clock)
    await db.execute(
        "truncate alerts, watched_cards, firings, holds, event_outbox restart identity"
    )
    stored = [world.new_alert(ids, clock, card, rule.condition) for card, rule in rules]
    async with db.transaction() as tx:
        for alert, (_, rule) in zip(stored, rules, strict=True):
            await world.insert(tx, alert)
            await world.store.save(
                tx, replace(alert, active=rule.active, snooze_time=rule.snoozed_until)
            )
    told = published(steps)
    batch: list[object] = []
    for (step, found), cut in zip(told, cuts, strict=False):
        batch.append(event_of(step, found, clock))
        if cut:
            await world.handle(db, clock, *batch)
            await world.handle(db, clock, *batch)
            batch = []
    await world.handle(db, clock, *batch)

    expected = reference(told, list(rules), clock.now())
    announced = await world.announced(db)
    names = {resource_name("alerts", "alr", alert.id): n for n, alert in enumerate(stored)}
    assert sorted((names[e.alert], date.fromisoformat(e.day)) for _, e in announced) == sorted(
        expected
    )
    assert {id for id, _ in announced} == {event_id(stored[n].id, day) for n, day in expected}
    for card in CARDS:  # a card's announcements are in the order of its days
        of_card = [e.day for _, e in announced if e.card == f"cards/{card}"]
        assert of_card == sorted(of_card)
    for number, alert in enumerate(stored):
        kept = await world.store.get(db, alert.account, alert.id)
        assert kept.fire_count == sum(number == fired for fired, _ in expected)


def event_of(step: Step, found: list[Change], clock: FakeClock):
    mode = market_pb2.MODE_CORRECTION if step.corrects else market_pb2.MODE_LIVE
    listed = [world.price_change(c.card, c.price, c.previous, c.previous_day) for c in found]
    version = 2 if step.corrects else 1
    return world.prices_changed(step.day, listed, clock.now(), mode=mode, version=version)
