"""An account's confirmed addresses are told when one of its endpoints fails, or was disabled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from libs.api.wire import moment, resource_id
from libs.clock import Clock
from libs.db import Tx
from libs.events.record import Received
from libs.ids import derive
from pq.delivery.v1.delivery_events_pb2 import EndpointDisabled, EndpointFailing
from services.delivery.domain.email_addresses import ENDPOINT_DISABLED, ENDPOINT_FAILING
from services.delivery.domain.model import Message, Target
from services.delivery.handlers import payload
from services.delivery.handlers.addressed import send_to
from services.delivery.sending.worker import Worker
from services.delivery.store import emails

_Change = EndpointFailing | EndpointDisabled


class TellOwners:
    """Handles batches of EndpointFailing and EndpointDisabled. Endpoints are not told of each
    other: the one that fails may be the only one."""

    def __init__(self, worker: Worker, clock: Clock) -> None:
        self._worker = worker
        self._clock = clock

    async def __call__(self, tx: Tx, batch: Sequence[Received[Any]]) -> None:
        """Raises AppError (INVALID) for an event that no message can be made of."""
        made: list[tuple[Message, Target]] = []
        known: dict[UUID, list[Target]] = {}
        for received in batch:
            message = self._message(received)
            account = message.account
            if account not in known:
                known[account] = await emails.targets_of_account(tx, account)
            made += [
                (message, target)
                for target in known[account]
                if not target.event_types or message.event_type in target.event_types
            ]
        if made:
            await send_to(tx, self._worker, made)

    def _message(self, received: Received[_Change]) -> Message:
        event, now = received.data, self._clock.now()
        disabled = isinstance(event, EndpointDisabled)
        kind = ENDPOINT_DISABLED if disabled else ENDPOINT_FAILING
        return Message(
            id=derive(received.record.id, "message"),
            account=resource_id("accounts", "acc", event.account, field="account"),
            event_type=kind,
            payload=payload.render(kind, payload.shown(received.record.time), _data(event)),
            create_time=now,
            deliver_by=None,
        )


def _data(event: _Change) -> Mapping[str, Any]:
    """What is shown, under the names that the REST API uses; unknown is null."""
    return {
        "endpoint": event.endpoint,
        "url": event.url,
        "reason": event.reason if isinstance(event, EndpointDisabled) else "",
        "failingSince": _shown(event.failing_since) if event.HasField("failing_since") else None,
        "disableTime": _shown(event.disable_time) if event.HasField("disable_time") else None,
        "lastCode": event.code,
        "lastHttpStatus": event.http_status if event.HasField("http_status") else None,
    }


def _shown(time: Timestamp) -> str:
    return payload.shown(moment(time))
