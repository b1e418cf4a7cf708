"""Which events alerts handles, and how they are read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from libs.api.erasure import Erasures
from libs.api.wire import moment
from libs.clock import Clock
from libs.db import Tx
from libs.errors import invalid
from libs.events import BatchHandler, Received
from libs.obs import metrics
from pq.accounts.v1 import accounts_events_pb2
from pq.market.v1 import market_events_pb2, market_pb2
from services.alerts.domain.evaluation import Change
from services.alerts.handlers.evaluate import News, Tally, evaluate

NAME = "alerts.prices"
ACCOUNTS = "alerts.accounts"

log = logging.getLogger(__name__)

_NEWS = (market_pb2.MODE_LIVE, market_pb2.MODE_CORRECTION)


def handlers(clock: Clock) -> Mapping[type[Any], BatchHandler]:
    """The table {event type: handler}."""

    async def on_prices(tx: Tx, batch: Sequence[Received[market_events_pb2.PricesChanged]]) -> None:
        began = clock.monotonic()
        news = [item for received in batch for item in read(received.data)]
        if not news:
            return
        tally = await evaluate(tx, news, clock.now())
        tx.after_commit(lambda: _tell(tally, clock.monotonic() - began))

    return {market_events_pb2.PricesChanged: on_prices}


def account_handlers(erasures: Erasures) -> Mapping[type[Any], BatchHandler]:
    """The table of the consumer ACCOUNTS: apart, so that neither waits for the other."""
    return {accounts_events_pb2.AccountChanged: erasures.on_account_changed}


def read(event: market_events_pb2.PricesChanged) -> Iterator[News]:
    """The changes of an event that are news; history has none.

    Raises AppError (INVALID) naming the field for an event that breaks its contract.
    """
    if event.mode not in _NEWS or not event.newest:
        return
    day, accepted = _day("day", event.day), _accepted(event)
    imported = str(getattr(event, "import"))  # a keyword of Python's
    for item in event.changes:
        known = item.HasField("previous_price")
        change = Change(
            card=item.card,
            currency=event.currency_code,
            day=day,
            price=_price(item.price) if item.HasField("price") else None,
            previous=_price(item.previous_price) if known else None,
            previous_day=_day("changes.previous_day", item.previous_day) if known else None,
            corrects=event.mode == market_pb2.MODE_CORRECTION,
        )
        yield News(change, event.source, event.version, imported, accepted)


def _day(field: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(field, f"expected a day, YYYY-MM-DD; got {text[:20]!r}") from None


def _accepted(event: market_events_pb2.PricesChanged) -> datetime:
    try:
        return moment(event.accept_time)
    except (ValueError, OverflowError):
        raise invalid("accept_time", "expected a time of the years 1 to 9999") from None


def _price(value: int) -> int:
    if value < 0:
        raise invalid("changes.price", f"expected 0 or more; got {value}")
    return value


def _tell(tally: Tally, seconds: float) -> None:
    metrics.ALERTS_EVALUATED.inc(tally.changes)
    metrics.EVALUATION_DURATION.observe(seconds)
    for kind, count in tally.fired.items():
        metrics.ALERTS_FIRED.labels(kind).inc(count)
    log.info(
        "prices evaluated",
        extra={
            "changes": tally.changes,
            "candidates": tally.candidates,
            "fired": tally.fired.total(),
            "seconds": round(seconds, 4),
        },
    )
