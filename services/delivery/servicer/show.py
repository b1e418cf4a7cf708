"""Domain values as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from google.protobuf.duration_pb2 import Duration

from libs.api.wire import resource_name, stamp
from libs.ids import encode
from pq.delivery.v1 import delivery_pb2 as pb
from services.delivery.domain.model import Attempt, Delivery, Endpoint, Message, Secrets
from services.delivery.domain.signing import encode_secret
from services.delivery.sending.settled import delivery_id, delivery_name, target_name
from services.delivery.servicer.endpoint_settings import settings_fields


def endpoint_pb(endpoint: Endpoint, secret: str = "") -> pb.Endpoint:
    """An endpoint; its secret only where it was just made."""
    return pb.Endpoint(
        name=resource_name("endpoints", "ep", endpoint.id),
        **settings_fields(endpoint.settings),
        state=pb.EndpointState.ValueType(endpoint.state),
        state_reason=endpoint.state_reason,
        state_time=stamp(endpoint.state_time),
        verification_state=pb.VerificationState.ValueType(endpoint.verification),
        verification_reason=endpoint.verification_reason,
        verify_time=stamp(endpoint.verify_time),
        create_time=stamp(endpoint.create_time),
        update_time=stamp(endpoint.update_time),
        secret=secret,
        etag=endpoint.etag,
    )


def secret_pb(id: UUID, secrets: Secrets) -> pb.EndpointSecret:
    """What an endpoint's deliveries are signed with."""
    return pb.EndpointSecret(
        name=resource_name("endpoints", "ep", id) + "/secret",
        secret=encode_secret(secrets.current),
        previous_secret=encode_secret(secrets.previous) if secrets.previous else "",
        previous_expire_time=stamp(secrets.previous_expire_time),
    )


def message_pb(message: Message, deliveries: Sequence[Delivery]) -> pb.Message:
    """A message, and how it went at each endpoint."""
    return pb.Message(
        name=resource_name("messages", "msg", message.id),
        account=resource_name("accounts", "acc", message.account),
        event_type=message.event_type,
        payload=message.payload.decode(),
        create_time=stamp(message.create_time),
        deliver_by=stamp(message.deliver_by),
        deliveries=[delivery_pb(delivery) for delivery in deliveries],
    )


def attempt_pb(attempt: Attempt) -> pb.Attempt:
    """An attempt. What is not UTF-8 in the answer is shown as U+FFFD."""
    duration = Duration()
    duration.FromTimedelta(attempt.duration)
    parent = resource_name("messages", "msg", attempt.message)
    return pb.Attempt(
        name=f"{parent}/attempts/{encode('att', attempt.id)}",
        endpoint=target_name(attempt.channel, attempt.endpoint),
        number=attempt.number,
        start_time=stamp(attempt.start_time),
        duration=duration,
        http_status=attempt.http_status,
        code=attempt.code,
        response_body=attempt.response_body.decode(errors="replace"),
        remote_address=attempt.remote_address,
    )


def delivery_pb(delivery: Delivery) -> pb.Delivery:
    """How a message does at one target."""
    message = resource_name("messages", "msg", delivery.message)
    return pb.Delivery(
        name=delivery_name(message, delivery_id(delivery.message, delivery.endpoint)),
        endpoint=target_name(delivery.channel, delivery.endpoint),
        state=pb.DeliveryState.ValueType(delivery.state),
        attempt_count=delivery.attempt_count,
        next_attempt_time=stamp(delivery.due),
        settle_time=stamp(delivery.settle_time),
        reason=delivery.shown_reason,
    )
