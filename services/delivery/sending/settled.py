"""The event that tells of a settled delivery."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from uuid import UUID

from libs.api.wire import resource_name, stamp
from libs.db import Tx
from libs.ids import derive, encode
from pq.delivery.v1 import delivery_events_pb2, delivery_pb2
from services.delivery.domain.model import Channel, Settled


def delivery_id(message: UUID, endpoint: UUID) -> UUID:
    """The id of a message's delivery to an endpoint: always the same."""
    return derive(message, str(endpoint))


def delivery_name(message: str, id: UUID) -> str:
    """Its public name, under its message's."""
    return f"{message}/deliveries/{encode('dlv', id)}"


def publish(tx: Tx, settled: Iterable[Settled]) -> None:
    """Sends a DeliverySettled for each, under an id that follows from the delivery."""
    for end in settled:
        message = resource_name("messages", "msg", end.message)
        id = delivery_id(end.message, end.endpoint)
        event = delivery_events_pb2.DeliverySettled(
            message=message,
            delivery=delivery_name(message, id),
            account=_name("accounts", "acc", end.account),
            endpoint=target_name(end.channel, end.endpoint),
            event_type=end.event_type,
            state=delivery_pb2.DeliveryState.ValueType(end.state),
            code=end.code,
            http_status=end.http_status,
            attempt_count=end.attempt_count,
            create_time=stamp(end.create_time),
            settle_time=stamp(end.settle_time),
        )
        again = (str(end.round),) if end.round else ()
        tx.publish(event, id=derive(id, "settled", *again))


def target_name(channel: Channel, id: UUID) -> str:
    """The public name of an endpoint or an e-mail address."""
    return _name(*_COLLECTIONS[channel], id)


_COLLECTIONS = {Channel.WEBHOOK: ("endpoints", "ep"), Channel.EMAIL: ("emailAddresses", "eml")}
# Accounts and endpoints come again and again.
_name = lru_cache(maxsize=4096)(resource_name)
