"""The event that tells of a settled delivery."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from libs.api.wire import resource_name, stamp
from libs.db import Tx
from libs.ids import derive, encode
from pq.delivery.v1 import delivery_events_pb2, delivery_pb2
from services.delivery.domain.model import Settled


def delivery_id(message: UUID, endpoint: UUID) -> UUID:
    """The id of a message's delivery to an endpoint: always the same."""
    return derive(message, str(endpoint))


def delivery_name(message: UUID, endpoint: UUID) -> str:
    """Its public name."""
    id = encode("dlv", delivery_id(message, endpoint))
    return f"{resource_name('messages', 'msg', message)}/deliveries/{id}"


def publish(tx: Tx, settled: Iterable[Settled]) -> None:
    """Sends a DeliverySettled for each, under an id that follows from the delivery."""
    for end in settled:
        event = delivery_events_pb2.DeliverySettled(
            message=resource_name("messages", "msg", end.message),
            delivery=delivery_name(end.message, end.endpoint),
            account=resource_name("accounts", "acc", end.account),
            endpoint=resource_name("endpoints", "ep", end.endpoint),
            event_type=end.event_type,
            state=delivery_pb2.DeliveryState.ValueType(end.state),
            code=end.code,
            http_status=end.http_status,
            attempt_count=end.attempt_count,
            create_time=stamp(end.create_time),
            settle_time=stamp(end.settle_time),
        )
        tx.publish(event, id=derive(delivery_id(end.message, end.endpoint), "settled"))
