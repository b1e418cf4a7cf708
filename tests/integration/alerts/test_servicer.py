"""Alerts through real gRPC: whose they are, what becomes of them, and how they are listed."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest

from libs.api.wire import resource_id, resource_name, stamp
from libs.auth import ANONYMOUS
from libs.errors import AppError, Kind
from libs.testing import rpc
from pq.alerts.v1 import alerts_pb2 as pb
from services.alerts.domain.conditions import Condition
from services.alerts.domain.conditions import Kind as ConditionKind
from services.alerts.handlers.erasure import SETTLED, Removals
from tests.integration.alerts import world
from tests.integration.alerts.place import (
    CARD,
    MAX_ACTIVE,
    UNQUOTED,
    above,
    call,
    create,
    refused,
    usd,
)


@pytest.mark.parametrize("method", ["GetAlert", "DeactivateAlert", "ActivateAlert", "SnoozeAlert"])
async def test_anothers_alert_does_not_exist(place, alerts, ids, method):
    made = await alerts.CreateAlert(create(above()))
    error = await refused(call(place.stub(rpc.account(ids.uuid())), method, made.name))
    assert (error.kind, error.reason) == (Kind.NOT_FOUND, "not_found")
    missing = resource_name("alerts", "alr", ids.uuid())
    assert (await refused(call(alerts, method, missing))).kind is Kind.NOT_FOUND


async def test_anothers_firings_do_not_exist_either(place, alerts, ids):
    made = await alerts.CreateAlert(create(above()))
    stranger = place.stub(rpc.account(ids.uuid()))
    error = await refused(stranger.ListFirings(pb.ListFiringsRequest(parent=made.name)))
    assert error.kind is Kind.NOT_FOUND
    assert not (await stranger.ListAlerts(pb.ListAlertsRequest())).alerts


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "required"), ("cards/x", "wrong_name"), ("alerts/end_1", "wrong_id_kind"),
     ("alerts/alr_1", "malformed_id")],
)  # fmt: skip
async def test_what_is_no_name_of_an_alert_is_told(alerts, name, reason):
    error = await refused(alerts.GetAlert(pb.GetAlertRequest(name=name)))
    assert (error.violations[0].field, error.violations[0].reason) == ("name", reason)
    error = await refused(alerts.ListFirings(pb.ListFiringsRequest(parent=name)))
    assert (error.violations[0].field, error.violations[0].reason) == ("parent", reason)


async def test_who_maycall(place, ids):
    for caller, kind in (
        (ANONYMOUS, Kind.UNAUTHENTICATED),
        (rpc.operator(), Kind.FORBIDDEN),
        (rpc.account(ids.uuid(), read_only=True), Kind.FORBIDDEN),
    ):
        assert (await refused(place.stub(caller).CreateAlert(create(above())))).kind is kind


async def test_a_repeat_gets_the_first_answer_and_makes_nothing(place, alerts, owner, ids):
    first = await alerts.CreateAlert(create(above(), "key"))
    place.clock.advance(60)
    assert await alerts.CreateAlert(create(above(), "key")) == first
    error = await refused(alerts.CreateAlert(create(above("13"), "key")))
    assert (error.kind, error.reason) == (Kind.UNPROCESSABLE, "request_id_reused")
    stranger = place.stub(rpc.account(ids.uuid()))
    assert (await stranger.CreateAlert(create(above(), "key"))).name != first.name
    assert len((await alerts.ListAlerts(pb.ListAlertsRequest())).alerts) == 1


async def test_an_alert_stops_and_starts_again(alerts, clock):
    made = await alerts.CreateAlert(create(above()))
    clock.advance(5)
    stopped = await alerts.DeactivateAlert(pb.DeactivateAlertRequest(name=made.name))
    assert stopped.state == pb.ALERT_STATE_INACTIVE
    assert stopped.etag != made.etag
    assert stopped.update_time == stamp(clock.now())
    clock.advance(5)
    again = await alerts.DeactivateAlert(pb.DeactivateAlertRequest(name=made.name))
    assert again == stopped
    started = await alerts.ActivateAlert(pb.ActivateAlertRequest(name=made.name))
    assert started.state == pb.ALERT_STATE_ACTIVE
    assert await alerts.ActivateAlert(pb.ActivateAlertRequest(name=made.name)) == started


@pytest.mark.parametrize("method", ["DeactivateAlert", "ActivateAlert", "SnoozeAlert"])
async def test_a_stale_etag_is_refused(alerts, clock, method):
    made = await alerts.CreateAlert(create(above()))
    await call(alerts, "SnoozeAlert", made.name, at=clock.now() + timedelta(days=2))
    error = await refused(call(alerts, method, made.name, etag=made.etag))
    assert (error.kind, error.reason) == (Kind.ABORTED, "etag_mismatch")
    fresh = await alerts.GetAlert(pb.GetAlertRequest(name=made.name))
    await call(alerts, method, made.name, etag=fresh.etag)


async def test_quiet_has_an_end(alerts, clock):
    made = await alerts.CreateAlert(create(above()))
    until = clock.now() + timedelta(days=1)
    snoozed = await call(alerts, "SnoozeAlert", made.name, at=until)
    assert snoozed.snooze_time == stamp(until)
    ended = await call(alerts, "SnoozeAlert", made.name, at=clock.now() - timedelta(days=1))
    assert not ended.HasField("snooze_time")
    for request in (
        pb.SnoozeAlertRequest(name=made.name),
        pb.SnoozeAlertRequest(name=made.name, snooze_time=stamp(until + timedelta(days=366))),
        pb.SnoozeAlertRequest(name=made.name, snooze_time={"seconds": 2**60}),
    ):
        error = await refused(alerts.SnoozeAlert(request))
        assert [violation.field for violation in error.violations] == ["snooze_time"]


async def test_only_so_many_alerts_watch_at_a_time(alerts):
    made = [await alerts.CreateAlert(create(above())) for _ in range(MAX_ACTIVE)]
    error = await refused(alerts.CreateAlert(create(above())))
    assert (error.kind, error.reason) == (Kind.PRECONDITION, "too_many_alerts")
    await call(alerts, "DeactivateAlert", made[0].name)
    await alerts.CreateAlert(create(above()))
    error = await refused(call(alerts, "ActivateAlert", made[0].name))
    assert error.reason == "too_many_alerts"


async def test_the_limit_holds_when_all_come_at_once(alerts):
    made = await asyncio.gather(
        *(alerts.CreateAlert(create(above())) for _ in range(3 * MAX_ACTIVE)),
        return_exceptions=True,
    )
    refusals = [answer.reason for answer in made if isinstance(answer, AppError)]
    assert refusals == ["too_many_alerts"] * (2 * MAX_ACTIVE)


async def test_pages_go_through_all_alerts_newest_first(place, owner, ids):
    async with place.db.transaction() as tx:
        condition = Condition(ConditionKind.MOVE, 100_000)
        made = [world.new_alert(ids, place.clock, CARD, condition, owner.account) for _ in range(7)]
        await world.insert(tx, *made)
    alerts, seen, token = place.stub(owner), [], ""
    while True:
        page = await alerts.ListAlerts(pb.ListAlertsRequest(page_size=3, page_token=token))
        seen += [alert.name for alert in page.alerts]
        token = page.next_page_token
        if not token:
            break
    assert seen == [resource_name("alerts", "alr", alert.id) for alert in reversed(made)]


async def test_a_page_token_is_good_for_its_own_question_only(place, alerts, ids):
    for _ in range(2):
        await alerts.CreateAlert(create(above()))
    page = await alerts.ListAlerts(pb.ListAlertsRequest(page_size=1))
    other = pb.ListAlertsRequest(page_size=1, page_token=page.next_page_token, filter="card:x*")
    for asked in (
        alerts.ListAlerts(other),
        alerts.ListAlerts(pb.ListAlertsRequest(page_token=page.next_page_token[:-2])),
        place.stub(rpc.account(ids.uuid())).ListAlerts(
            pb.ListAlertsRequest(page_token=page.next_page_token)
        ),
    ):
        error = await refused(asked)
        assert [violation.field for violation in error.violations] == ["page_token"]
    error = await refused(alerts.ListAlerts(pb.ListAlertsRequest(page_size=1001)))
    assert [violation.field for violation in error.violations] == ["page_size"]


async def test_alerts_are_filtered(alerts, clock):
    one = await alerts.CreateAlert(create(above()))
    clock.advance(10)
    two = await alerts.CreateAlert(create(above(card=UNQUOTED)))
    await call(alerts, "DeactivateAlert", two.name)
    for text, expected in (
        (f'card = "cards/{CARD}"', [one]),
        ("card = cards/pokemon-*", [two, one]),
        ("state = ALERT_STATE_INACTIVE", [two]),
        ("NOT state = ALERT_STATE_INACTIVE", [one]),
        (f'create_time > "{clock.now() - timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}"', [two]),
        ('last_fire_time > "2020-01-01T00:00:00Z"', []),
    ):
        found = await alerts.ListAlerts(pb.ListAlertsRequest(filter=text))
        assert [a.name for a in found.alerts] == [a.name for a in expected], text
    for text in ("account = x", "state = maybe", "card", "create_time > yesterday"):
        error = await refused(alerts.ListAlerts(pb.ListAlertsRequest(filter=text)))
        assert [violation.field for violation in error.violations] == ["filter"]


async def test_firings_are_listed_newest_first_and_counted(place, alerts):
    made = await alerts.CreateAlert(create(above("10")))
    place.clock.advance(1)
    first = date(2025, 6, 1)
    for n in range(3):
        day, low = first + timedelta(2 * n), first + timedelta(2 * n + 1)
        up = [world.price_change(CARD, 1100, 900, day - timedelta(1))]
        down = [world.price_change(CARD, 900, 1100, day)]
        now = place.clock.now()
        await world.handle(
            place.db,
            place.clock,
            world.prices_changed(day, up, now),
            world.prices_changed(low, down, now),
        )
    page = await alerts.ListFirings(pb.ListFiringsRequest(parent=made.name, page_size=2))
    rest = await alerts.ListFirings(
        pb.ListFiringsRequest(parent=made.name, page_token=page.next_page_token, page_size=2)
    )
    days = [firing.day for firing in [*page.firings, *rest.firings]]
    assert days == ["2025-06-05", "2025-06-03", "2025-06-01"]
    newest = page.firings[0]
    assert newest.name == f"{made.name}/firings/2025-06-05"
    assert (newest.price, newest.previous_price) == (usd("11.00"), usd("9.00"))
    assert newest.previous_day == "2025-06-04"
    assert getattr(newest, "import") == "imports/imp_1"
    assert newest.reason.startswith("The price rose to 11.00 USD")
    fired = await alerts.GetAlert(pb.GetAlertRequest(name=made.name))
    assert (fired.fire_count, fired.last_fire_time) == (3, stamp(place.clock.now()))
    assert fired.etag != made.etag


async def test_a_deleted_alert_is_gone_with_its_firings_and_fires_no_more(place, alerts, owner):
    made = await alerts.CreateAlert(create(above("10")))
    other = await alerts.CreateAlert(create(above("10")))
    day = date(2025, 6, 1)
    await fire(place, day)
    fired = await alerts.GetAlert(pb.GetAlertRequest(name=made.name))
    stale = pb.DeleteAlertRequest(name=made.name, etag=made.etag)
    error = await refused(alerts.DeleteAlert(stale))
    assert (error.kind, error.reason) == (Kind.ABORTED, "etag_mismatch")
    delete = pb.DeleteAlertRequest(name=made.name, etag=fired.etag, request_id="away")
    await alerts.DeleteAlert(delete)
    await alerts.DeleteAlert(delete)  # the same call once more is no error
    for call_again in (
        alerts.GetAlert(pb.GetAlertRequest(name=made.name)),
        alerts.ListFirings(pb.ListFiringsRequest(parent=made.name)),
        alerts.DeleteAlert(pb.DeleteAlertRequest(name=made.name)),
    ):
        assert (await refused(call_again)).kind is Kind.NOT_FOUND
    await fire(place, day + timedelta(days=1))
    assert await place.db.fetchval("select array_agg(distinct alert) from firings") == [
        resource_id("alerts", "alr", other.name)
    ]


async def test_what_an_evaluation_wrote_about_a_deleted_alert_goes_as_well(place, alerts):
    made = await alerts.CreateAlert(create(above("10")))
    removals = Removals(place.db, place.clock)
    async with place.db.transaction() as evaluation:
        await world.handle_in(evaluation, place.clock, rise(place, date(2025, 6, 1)))
        await alerts.DeleteAlert(pb.DeleteAlertRequest(name=made.name))
    await removals.sweep()
    assert await place.db.fetchval("select count(*) from firings") == 1
    place.clock.advance(SETTLED.total_seconds() + 1)
    await removals.sweep()
    assert await place.db.fetchval("select count(*) from firings") == 0
    assert await place.db.fetchval("select count(*) from removed_alerts") == 0


async def test_a_stranger_deletes_nothing(place, alerts, ids):
    made = await alerts.CreateAlert(create(above()))
    stranger = place.stub(rpc.account(ids.uuid()))
    error = await refused(stranger.DeleteAlert(pb.DeleteAlertRequest(name=made.name)))
    assert error.kind is Kind.NOT_FOUND
    await alerts.GetAlert(pb.GetAlertRequest(name=made.name))


def rise(place, day):
    up = [world.price_change(CARD, 1100, 900, day - timedelta(1))]
    return world.prices_changed(day, up, place.clock.now())


async def fire(place, day):
    await world.handle(place.db, place.clock, rise(place, day))
