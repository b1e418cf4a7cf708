"""Operations, statistics and timelines as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from libs.api.wire import resource_name, stamp
from libs.errors import AppError
from pq.delivery.v1 import delivery_pb2 as shared
from pq.delivery.v1 import operations_pb2 as pb
from services.delivery.domain.operations import Operation
from services.delivery.handlers.insight import Statistics, Story
from services.delivery.servicer.show import attempt_pb, delivery_pb
from services.delivery.store.statistics import Period


def operation_pb(operation: Operation) -> pb.DeliveryOperation:
    """An operation."""
    return pb.DeliveryOperation(
        name=resource_name("deliveryOperations", "dop", operation.id),
        kind=pb.DeliveryOperationKind.ValueType(operation.kind),
        endpoint=resource_name("endpoints", "ep", operation.endpoint),
        state=pb.DeliveryOperationState.ValueType(operation.state),
        looked_at_count=operation.looked_at,
        changed_count=operation.changed,
        start_time=stamp(operation.start_time),
        end_time=stamp(operation.end_time),
        create_time=stamp(operation.create_time),
        finish_time=stamp(operation.finish_time),
    )


def fault_pb(error: AppError) -> pb.MessageFault:
    """Why one request of a batch was refused."""
    return pb.MessageFault(
        kind=error.kind.name,
        reason=error.reason,
        message=error.message,
        fields=[
            pb.FieldFault(field=one.field, description=one.description, reason=one.reason)
            for one in error.violations
        ],
    )


def statistics_pb(name: str, found: Statistics) -> pb.EndpointStatistics:
    """How an endpoint has done."""
    lane = found.lane
    return pb.EndpointStatistics(
        name=name,
        breaker=lane.breaker.state.name.lower(),
        failing_since=stamp(lane.breaker.failing_since),
        hold_reason=lane.hold_reason,
        hold_end_time=stamp(lane.hold_until),
        periods=[_period_pb(period) for period in found.periods],
    )


def timeline_pb(name: str, stories: Sequence[Story]) -> pb.MessageTimeline:
    """What happened to a message."""
    return pb.MessageTimeline(
        name=name,
        deliveries=[
            pb.DeliveryTimeline(
                delivery=delivery_pb(story.delivery),
                summary=story.summary,
                entries=[
                    pb.TimelineEntry(
                        kind=entry.kind,
                        start_time=stamp(entry.start_time),
                        end_time=stamp(entry.end_time),
                        attempt=attempt_pb(entry.attempt) if entry.attempt else None,
                    )
                    for entry in story.entries
                ],
            )
            for story in stories
        ],
    )


def _period_pb(period: Period) -> pb.EndpointPeriod:
    latencies = period.latencies or (None, None)
    return pb.EndpointPeriod(
        length=_duration(period.length.total_seconds()),
        outcomes=[
            pb.OutcomeCount(state=shared.DeliveryState.ValueType(state), count=count)
            for state, count in period.outcomes.items()
        ],
        attempt_count=period.attempts,
        failure_share=period.failures / period.attempts if period.attempts else None,
        latency_p50=_duration(latencies[0]),
        latency_p95=_duration(latencies[1]),
        partial=period.partial,
    )


def _duration(seconds: float | None) -> Duration | None:
    if seconds is None:
        return None
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration
