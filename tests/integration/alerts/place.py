"""The service behind real gRPC, with a market that answers, and can be away."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from libs.api.paging import PageTokens
from libs.api.wire import stamp
from libs.errors import AppError, Kind
from libs.testing import rpc
from libs.testing.clock import START
from pq.alerts.v1 import alerts_pb2 as pb
from pq.alerts.v1 import alerts_pb2_grpc
from pq.common.v1 import money_pb2
from pq.market.v1 import market_pb2, market_pb2_grpc
from services.alerts.handlers.alerts import Alerts
from services.alerts.market import MarketCards
from services.alerts.servicer.service import AlertServicer

PAST = START - timedelta(days=1)
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
        card = market_pb2.Card(name=request.name, display_name="Charizard ex")
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


async def call(stub, method, name, etag="", at=None):
    request = {
        "GetAlert": pb.GetAlertRequest,
        "DeactivateAlert": pb.DeactivateAlertRequest,
        "ActivateAlert": pb.ActivateAlertRequest,
        "SnoozeAlert": pb.SnoozeAlertRequest,
    }[method](name=name)
    if method == "SnoozeAlert":
        request.snooze_time.CopyFrom(stamp(at or PAST))
    if etag:
        request.etag = etag
    return await getattr(stub, method)(request)
