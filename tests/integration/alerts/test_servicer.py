"""Alerts through real gRPC: what an account can do, and what it is told when it cannot."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import date, timedelta

import pytest

from libs.api.paging import PageTokens
from libs.api.wire import resource_name, stamp
from libs.auth import ANONYMOUS
from libs.errors import AppError, Kind
from libs.testing import rpc
from pq.alerts.v1 import alerts_pb2 as pb
from pq.alerts.v1 import alerts_pb2_grpc
from pq.common.v1 import money_pb2
from pq.market.v1 import market_pb2, market_pb2_grpc
from services.alerts.domain.conditions import Condition
from services.alerts.domain.conditions import Kind as ConditionKind
from services.alerts.handlers.alerts import Alerts
from services.alerts.market import MarketCards
from services.alerts.servicer.service import AlertServicer
from tests.integration.alerts import world

CARD, UNQUOTED, EURO = "pokemon-1-normal", "pokemon-2-normal", "pokemon-3-normal"
MAX_ACTIVE = 3


class Market(market_pb2_grpc.MarketServiceServicer):
    """Three cards, and a switch to be away."""

    def __init__(self):
        self.away = False

    async def GetCard(self, request, _context):  # noqa: N802
        if self.away:
            raise AppError(Kind.UNAVAILABLE, "draining", "going away")
        quoted = {CARD: "USD", EURO: "EUR", UNQUOTED: None}
        id = request.name.removeprefix("cards/")
        if id not in quoted:
            raise AppError(Kind.NOT_FOUND, "not_found", f"{request.name} does not exist")
        card = market_pb2.Card(name=request.name)
        if quoted[id]:
            card.headline.currency_code = quoted[id]
        return card


class Place:
    """The service, its market, and stubs in the name of accounts."""

    def __init__(self, serving, market, db, clock):
        self.serving = serving
        self.market = market
        self.db = db
        self.clock = clock

    def stub(self, caller):
        return alerts_pb2_grpc.AlertServiceStub(self.serving.channel(caller))


@asynccontextmanager
async def place_of(db, clock, ids):
    market = Market()
    add_market = market_pb2_grpc.add_MarketServiceServicer_to_server
    async with rpc.serving((add_market, market), clock=clock) as there:
        channel = there.channel(rpc.service("alerts"))
        cards = MarketCards(market_pb2_grpc.MarketServiceStub(channel), clock)
        servicer = AlertServicer(
            Alerts(cards, clock, ids, MAX_ACTIVE), db, PageTokens(b"k" * 32, clock), clock
        )
        add_alerts = alerts_pb2_grpc.add_AlertServiceServicer_to_server
        async with rpc.serving((add_alerts, servicer), clock=clock) as here:
            yield Place(here, market, db, clock)


@pytest.fixture
async def place(db, clock, ids):
    async with place_of(db, clock, ids) as made:
        yield made


@pytest.fixture
def owner(ids):
    return rpc.account(ids.uuid())


@pytest.fixture
def alerts(place, owner):
    return place.stub(owner)


def usd(amount, currency="USD"):
    return money_pb2.Money(currency_code=currency, amount=amount)


def above(amount="12.50", card=CARD, **more):
    condition = pb.Condition(price_above=usd(amount))
    return pb.Alert(card=f"cards/{card}", condition=condition, **more)


def create(alert, request_id=""):
    return pb.CreateAlertRequest(alert=alert, request_id=request_id)


async def refused(call):
    with pytest.raises(AppError) as caught:
        await call
    return caught.value


async def test_an_alert_is_as_it_was_asked_for(alerts, clock):
    asked = above(note="mind the gap", fire_count=7, name="alerts/mine", etag="x")
    asked.deliver_within.FromTimedelta(timedelta(hours=6))
    made = await alerts.CreateAlert(create(asked))
    assert made.name.startswith("alerts/alr_")
    assert made.condition == asked.condition
    assert (made.card, made.note) == (asked.card, asked.note)
    assert made.deliver_within == asked.deliver_within
    assert (made.state, made.fire_count) == (pb.ALERT_STATE_ACTIVE, 0)
    assert made.create_time == stamp(clock.now())
    assert not made.HasField("snooze_time")
    assert not made.HasField("last_fire_time")
    assert made.etag not in ("", "x")
    assert await alerts.GetAlert(pb.GetAlertRequest(name=made.name)) == made


@pytest.mark.parametrize(
    "condition",
    [
        pb.Condition(price_below=usd("0.01")),
        pb.Condition(percentage_change=pb.PercentageChange(percent=12.3456)),
        pb.Condition(
            percentage_change=pb.PercentageChange(percent=10, direction=pb.DIRECTION_DOWN)
        ),
        pb.Condition(percentage_change=pb.PercentageChange(percent=1, direction=pb.DIRECTION_UP)),
    ],
)
async def test_every_kind_of_condition_comes_back(alerts, condition):
    made = await alerts.CreateAlert(create(pb.Alert(card=f"cards/{CARD}", condition=condition)))
    assert made.condition == condition


def _with(**fields):
    alert = above()
    for name, value in fields.items():
        if value is None:
            alert.ClearField(name)
        elif isinstance(value, str):
            setattr(alert, name, value)
        else:
            getattr(alert, name).CopyFrom(value)
    return alert


def _seconds(seconds, nanos=0):
    from google.protobuf.duration_pb2 import Duration

    return Duration(seconds=seconds, nanos=nanos)


def _move(percent, direction=0):
    change = pb.PercentageChange(percent=percent, direction=direction)
    return pb.Condition(percentage_change=change)


@pytest.mark.parametrize(
    ("alert", "field", "reason"),
    [
        (_with(card=None), "alert.card", "required"),
        (_with(card="alerts/x"), "alert.card", "wrong_name"),
        (_with(card="cards/Not A Card"), "alert.card", "wrong_name"),
        (_with(card="cards/pokemon-9-normal"), "alert.card", "unknown_card"),
        (_with(condition=None), "alert.condition", "required"),
        (_with(condition=pb.Condition()), "alert.condition", "required"),
        (above("1.001"), "alert.condition.price_above.amount", "too_many_decimals"),
        (above("0"), "alert.condition.price_above.amount", "not_positive"),
        (above("-3"), "alert.condition.price_above.amount", "malformed_amount"),
        (above("NaN"), "alert.condition.price_above.amount", "malformed_amount"),
        (above("99999999"), "alert.condition.price_above.amount", "out_of_range"),
        (
            _with(condition=pb.Condition(price_below=usd("1", "XXX"))),
            "alert.condition.price_below.currency_code",
            "unsupported_currency",
        ),
        (
            _with(condition=pb.Condition(price_below=usd("1", "EUR"))),
            "alert.condition.price_below.currency_code",
            "currency_mismatch",
        ),
        (
            _with(condition=_move(0)),
            "alert.condition.percentage_change.percent",
            "out_of_range",
        ),
        (
            _with(condition=_move(float("nan"))),
            "alert.condition.percentage_change.percent",
            "out_of_range",
        ),
        (
            _with(condition=_move(0.00001)),
            "alert.condition.percentage_change.percent",
            "too_many_decimals",
        ),
        (
            _with(condition=_move(5, 9)),
            "alert.condition.percentage_change.direction",
            "unknown_value",
        ),
        (_with(note="n" * 501), "alert.note", "too_long"),
        (_with(note="\x00"), "alert.note", "malformed_text"),
        (_with(deliver_within=_seconds(0)), "alert.deliver_within", "out_of_range"),
        (_with(deliver_within=_seconds(-5)), "alert.deliver_within", "out_of_range"),
        (_with(deliver_within=_seconds(31 * 86400)), "alert.deliver_within", "out_of_range"),
        (_with(deliver_within=_seconds(2**62)), "alert.deliver_within", "out_of_range"),
    ],
)
async def test_what_cannot_be_an_alert_is_told_with_its_field(alerts, alert, field, reason):
    error = await refused(alerts.CreateAlert(create(alert)))
    assert error.kind is Kind.INVALID
    assert [(v.field, v.reason) for v in error.violations] == [(field, reason)]


async def test_all_faults_are_told_at_once(alerts):
    error = await refused(alerts.CreateAlert(create(_with(card="x", condition=None, note="\x00"))))
    fields = [violation.field for violation in error.violations]
    assert fields == ["alert.card", "alert.condition", "alert.note"]
    error = await refused(alerts.CreateAlert(pb.CreateAlertRequest()))
    assert [violation.field for violation in error.violations] == ["alert"]


async def test_a_card_without_a_quote_takes_any_currency_and_percentages_have_none(alerts):
    await alerts.CreateAlert(create(above(card=UNQUOTED)))
    await alerts.CreateAlert(create(_with(card=f"cards/{EURO}", condition=_move(5))))


async def test_without_the_market_nothing_is_kept_and_the_caller_may_try_again(place, alerts):
    place.market.away = True
    error = await refused(alerts.CreateAlert(create(above(), "once")))
    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "market_unavailable")
    assert error.retry_after
    place.market.away = False
    await alerts.CreateAlert(create(above(), "once"))
    assert await place.db.fetchval("select count(*) from alerts") == 1


@pytest.mark.parametrize("method", ["GetAlert", "DeactivateAlert", "ActivateAlert", "SnoozeAlert"])
async def test_anothers_alert_does_not_exist(place, alerts, ids, method):
    made = await alerts.CreateAlert(create(above()))
    error = await refused(_call(place.stub(rpc.account(ids.uuid())), method, made.name))
    assert (error.kind, error.reason) == (Kind.NOT_FOUND, "not_found")
    missing = resource_name("alerts", "alr", ids.uuid())
    assert (await refused(_call(alerts, method, missing))).kind is Kind.NOT_FOUND


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


async def test_who_may_call(place, ids):
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
    await _call(alerts, "SnoozeAlert", made.name, at=clock.now() + timedelta(days=2))
    error = await refused(_call(alerts, method, made.name, etag=made.etag))
    assert (error.kind, error.reason) == (Kind.ABORTED, "etag_mismatch")
    fresh = await alerts.GetAlert(pb.GetAlertRequest(name=made.name))
    await _call(alerts, method, made.name, etag=fresh.etag)


async def test_quiet_has_an_end(alerts, clock):
    made = await alerts.CreateAlert(create(above()))
    until = clock.now() + timedelta(days=1)
    snoozed = await _call(alerts, "SnoozeAlert", made.name, at=until)
    assert snoozed.snooze_time == stamp(until)
    ended = await _call(alerts, "SnoozeAlert", made.name, at=clock.now() - timedelta(days=1))
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
    await _call(alerts, "DeactivateAlert", made[0].name)
    await alerts.CreateAlert(create(above()))
    error = await refused(_call(alerts, "ActivateAlert", made[0].name))
    assert error.reason == "too_many_alerts"


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
    await _call(alerts, "DeactivateAlert", two.name)
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


async def _call(stub, method, name, etag="", at=None):
    request = {
        "GetAlert": pb.GetAlertRequest,
        "DeactivateAlert": pb.DeactivateAlertRequest,
        "ActivateAlert": pb.ActivateAlertRequest,
        "SnoozeAlert": pb.SnoozeAlertRequest,
    }[method](name=name)
    if method == "SnoozeAlert":
        request.snooze_time.CopyFrom(stamp(at) if at else stamp(date_in_the_past()))
    if etag:
        request.etag = etag
    return await getattr(stub, method)(request)


def date_in_the_past():
    from libs.testing.clock import START

    return START - timedelta(days=1)
