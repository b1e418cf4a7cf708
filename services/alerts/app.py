"""Where the parts of alerts are made and connected."""

from __future__ import annotations

from pathlib import Path

from libs.api.erasure import INTERVAL, Erasures
from libs.runtime import Runtime
from pq.alerts.v1 import alerts_pb2_grpc
from pq.market.v1 import market_pb2_grpc
from services.alerts import consumer
from services.alerts.config import Config
from services.alerts.handlers.alerts import Alerts
from services.alerts.handlers.erasure import SETTLED, Removals
from services.alerts.market import MarketCards
from services.alerts.servicer.service import AlertServicer

MIGRATIONS = Path(__file__).with_name("migrations")


async def build(rt: Runtime, config: Config) -> None:
    """Makes the parts and hands them to the runtime."""
    db = await rt.database(migrations=[("alerts", MIGRATIONS)])
    log = await rt.event_log()
    rt.relay(db, log)
    rt.consumer(consumer.NAME, db, log, consumer.handlers(rt.clock))

    removals = Removals(db, rt.clock)
    erasures = Erasures(db, rt.clock, removals.erase)
    rt.consumer(consumer.ACCOUNTS, db, log, consumer.account_handlers(erasures))
    rt.periodic("erasures", INTERVAL, erasures.run)
    rt.periodic("removals", SETTLED.total_seconds(), removals.sweep)

    market = market_pb2_grpc.MarketServiceStub(rt.channel(config.market_target))
    alerts = Alerts(MarketCards(market, rt.clock), rt.clock, rt.ids, config.max_active)
    rt.servicer(
        alerts_pb2_grpc.add_AlertServiceServicer_to_server,
        AlertServicer(alerts, db, rt.page_tokens(), rt.clock),
    )
