"""The demonstration against a product that is played by a few canned answers."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from pyreqwest.client import ClientBuilder
from standardwebhooks import Webhook

from gateway.cli.client import Rest
from gateway.cli.demo.journey import Demo
from gateway.cli.exits import CliError, Exit
from gateway.cli.ingest.upload import Terms, Uploader
from gateway.cli.output import Output
from libs.clock import SystemClock
from libs.rpc.client import plain_channel
from pq.market.v1 import imports_pb2 as pb
from tests.integration.cli.canned import Canned, problem
from tests.integration.cli.market import FakeMarket, serving
from tests.integration.cli.test_ingest import Tokens

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
TODAY = datetime.now(UTC).date()
CARD = {
    "name": "cards/demo-42-normal",
    "displayName": "Ember Fox",
    "category": "demo",
    "setId": "7",
    "productId": "42",
    "printing": "Normal",
    "headline": {
        "day": str(TODAY),
        "source": "demo",
        "currencyCode": "USD",
        "market": "10.00",
    },
}


def stamp(moment=None):
    return (moment or datetime.now(UTC)).isoformat().replace("+00:00", "Z")


@dataclass
class Actor:
    """Plays the product. `breaks` names the hop that does not come; `forges` signs wrongly."""

    breaks: str = ""
    forges: bool = False
    cards: list = field(default_factory=lambda: [CARD])
    newest: date = TODAY
    url: str = ""
    file: bytes = b""
    sent: list = field(default_factory=list)
    priced: asyncio.Event = field(default_factory=asyncio.Event)

    def routes(self):
        return {
            "POST /v1/accounts": lambda _: (
                200,
                {"account": {"name": "accounts/acc_1"}, "token": "pq_acc"},
            ),
            "GET /v1/snapshots": lambda _: (200, {"snapshots": [{"day": str(self.newest)}]}),
            "GET /v1/cards": lambda _: (200, {"cards": self.cards, "nextPageToken": ""}),
            "POST /v1/endpoints": self.endpoint,
            "POST /v1/alerts": lambda asked: (200, {"name": "alerts/alr_1", **asked.body}),
            "GET /v1/alerts/alr_1/firings": self.firings,
            "GET /v1/messages/msg_1/attempts": self.attempts,
            "GET /v1/messages": self.messages,
            "DELETE /v1/endpoints/ep_1": lambda _: (200, {}),
            "POST /v1/alerts/alr_1:deactivate": lambda _: (200, {}),
        }

    def endpoint(self, asked):
        self.url = asked.body["url"]
        return 200, {"name": "endpoints/ep_1", "secret": SECRET}

    def firings(self, _):
        fired = self.file and self.breaks != "alert fired"
        firing = {"name": "alerts/alr_1/firings/d", "fireTime": stamp(), "reason": "it rose"}
        return 200, {"firings": [firing] if fired else []}

    def messages(self, _):
        known = self.file and self.breaks == "webhook received"
        return 200, {"messages": [{"name": "messages/msg_1"}] if known else []}

    def attempts(self, _):
        code = "connect" if self.breaks else "ok"
        attempt = {"name": "messages/msg_1/attempts/1", "startTime": stamp(), "code": code}
        return 200, {"attempts": [attempt | {"httpStatus": 204}]}

    def take(self, file, _nth):
        self.file = file.data
        self.priced.set()
        if not self.breaks:
            self.sent.append(asyncio.create_task(self.deliver()))
        answer = pb.Import(name="imports/imp_1", accepted_count=1)
        answer.create_time.GetCurrentTime()
        return answer

    async def deliver(self):
        now, body = datetime.now(UTC), json.dumps({"type": "alert.triggered"})
        signature = Webhook(SECRET).sign("msg_1", now, body + ("x" if self.forges else ""))
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        async with ClientBuilder().no_proxy().build() as client:
            await client.post(self.url).headers(headers).body_text(body).build().send()


@asynccontextmanager
async def stage(actor, timeout=10.0):
    market = FakeMarket(actor.take)
    clock = SystemClock()
    async with (
        Canned(actor.routes()) as gateway,
        serving(market),
        Rest(gateway.url, "op") as rest,
        plain_channel(market.target) as channel,
    ):
        uploader = Uploader(channel, Tokens(), Terms("demo"), clock)
        yield Demo(rest, uploader.send, Output(json=True), clock, timeout), gateway, market
    await asyncio.gather(*actor.sent)


def cleaned(gateway):
    return {"DELETE /v1/endpoints/ep_1", "POST /v1/alerts/alr_1:deactivate"} <= set(gateway.calls())


async def test_every_hop_is_shown_and_all_is_taken_away_again(capsys):
    async with stage(Actor()) as (demo, gateway, market):
        assert await demo.run() is Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert [hop["hop"] for hop in document["hops"]] == [
        *("price accepted", "alert fired", "webhook sent", "webhook received")
    ]
    assert (document["ok"], document["verified"], document["missing"]) == (True, True, [])
    assert document["total_seconds"] > 0
    assert cleaned(gateway)
    tomorrow = TODAY + timedelta(days=1)
    assert market.taken[0].header.source == "demo"
    assert market.taken[0].data.decode().splitlines()[1] == (
        f"{tomorrow},demo,7,42,Normal,10.50,,,,"
    )
    alert = next(asked for asked in gateway.asked if asked.path == "/v1/alerts")
    assert alert.body["condition"] == {"priceAbove": {"currencyCode": "USD", "amount": "10.10"}}
    assert alert.headers["authorization"] == "Bearer pq_acc"


@pytest.mark.parametrize(
    ("breaks", "missing", "said"),
    [
        ("alert fired", "alert fired", "pq doctor"),
        ("webhook sent", "webhook sent", "pq doctor"),
        ("webhook received", "webhook received", "delivery tried 1 times: connect"),
    ],
)
async def test_a_hop_that_does_not_come_is_named(capsys, breaks, missing, said):
    async with stage(Actor(breaks=breaks), timeout=0.3) as (demo, gateway, _):
        with pytest.raises(CliError, match=f"^{missing}: did not come within") as caught:
            await demo.run()
    assert caught.value.exit is Exit.FAILED
    assert said in caught.value.message + caught.value.hint
    assert json.loads(capsys.readouterr().out)["missing"][0] == missing
    assert cleaned(gateway)


async def test_a_forged_webhook_is_a_failure(capsys):
    async with stage(Actor(forges=True)) as (demo, gateway, _):
        with pytest.raises(CliError, match="not genuine: no matching signature"):
            await demo.run()
    assert json.loads(capsys.readouterr().out)["verified"] is False
    assert cleaned(gateway)


async def test_real_prices_are_left_alone():
    real = CARD | {"headline": CARD["headline"] | {"source": "tcgplayer"}}
    async with stage(Actor(cards=[real])) as (demo, gateway, market):
        with pytest.raises(CliError, match="real ones are not touched") as caught:
            await demo.run()
    assert caught.value.exit is Exit.DEGRADED
    assert market.taken == []
    assert "POST /v1/endpoints" not in gateway.calls()


async def test_when_tomorrows_are_used_up_the_newest_day_is_corrected():
    actor = Actor(newest=TODAY + timedelta(days=6))
    async with stage(actor) as (demo, _, market):
        await demo.run()
    assert market.taken[0].header.day == str(TODAY + timedelta(days=6))


async def test_a_product_that_refuses_loopback_is_explained():
    violations = [{"field": "endpoint.url", "description": "no", "reason": "address_refused"}]
    refusal = problem(400, "address_refused", "not public", violations=violations)
    async with stage(Actor()) as (demo, gateway, _):
        gateway.routes["POST /v1/endpoints"] = lambda _: (400, refusal)
        with pytest.raises(CliError, match="not public") as caught:
            await demo.run()
    assert "PQ_DELIVERY_ALLOW_NETWORKS" in caught.value.hint


async def test_ctrl_c_still_takes_away_what_was_made():
    actor = Actor(breaks="webhook sent")
    async with stage(actor, timeout=30) as (demo, gateway, _):
        task = asyncio.create_task(demo.run())
        await asyncio.wait_for(actor.priced.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cleaned(gateway)
