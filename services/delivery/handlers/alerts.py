"""An alert that fired becomes a message, and deliveries to whoever subscribed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from libs.api.wire import moment, resource_id
from libs.clock import Clock
from libs.db import Tx
from libs.events.record import Received
from libs.ids import derive
from libs.obs.tracing import TRACEPARENT
from pq.alerts.v1.alerts_events_pb2 import AlertTriggered
from pq.common.v1.money_pb2 import Money
from services.delivery.domain.model import ALERT_TRIGGERED, Message
from services.delivery.handlers import payload
from services.delivery.sending.intake import Intake
from services.delivery.sending.worker import Worker
from services.delivery.store.vault import Vault


class TellOfAlerts:
    """Handles batches of AlertTriggered: two inserts for the batch, however many its accounts.

    What there is room for is sent from here as soon as it is committed; the rest waits its turn.
    """

    def __init__(self, vault: Vault, worker: Worker, clock: Clock) -> None:
        self._intake = Intake(vault, worker)
        self._clock = clock

    async def __call__(self, tx: Tx, batch: Sequence[Received[AlertTriggered]]) -> None:
        """Raises AppError (INVALID) for an event that no message can be made of."""
        made = [self._message(received) for received in batch]
        await self._intake.take_in(tx, made)

    def _message(self, received: Received[AlertTriggered]) -> Message:
        event = received.data
        fired = payload.shown(moment(event.fire_time))
        return Message(
            id=derive(received.record.id, "message"),
            account=_account(event.recipient),
            event_type=ALERT_TRIGGERED,
            payload=payload.render(ALERT_TRIGGERED, fired, _data(event, fired)),
            create_time=self._clock.now(),
            deliver_by=moment(event.deliver_by) if event.HasField("deliver_by") else None,
            trace_parent=received.record.headers.get(TRACEPARENT, ""),
            subjects=(event.card,),
            order_key=event.alert,
        )


# Accounts come again and again.
@lru_cache(maxsize=4096)
def _account(recipient: str) -> UUID:
    return resource_id("accounts", "acc", recipient, field="recipient")


def _data(event: AlertTriggered, fired: str) -> dict[str, Any]:
    """What receivers are shown, under the names that the REST API uses; unknown is null."""
    return {
        "alert": event.alert,
        "card": event.card,
        "cardName": event.card_display_name or None,
        "kind": event.kind,
        "threshold": _money(event.threshold),
        "percent": event.percent if event.HasField("percent") else None,
        "day": event.day,
        "price": _money(event.price),
        "previousPrice": _money(event.previous_price),
        "previousDay": event.previous_day or None,
        "changePercent": event.change_percent if event.HasField("change_percent") else None,
        "reason": event.reason,
        "note": event.note,
        "fireTime": fired,
    }


def _money(money: Money) -> dict[str, str] | None:
    """None where it is unset."""
    if not money.currency_code:
        return None
    return {"currencyCode": money.currency_code, "amount": money.amount}
