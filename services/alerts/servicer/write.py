"""Domain values as they are shown."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from libs.api.wire import resource_name, stamp
from pq.alerts.v1 import alerts_pb2 as pb
from services.alerts.domain.alerts import Alert, Firing
from services.alerts.domain.conditions import Condition, Kind
from services.alerts.handlers.announce import money_pb

_DIRECTIONS = {
    Kind.MOVE: pb.DIRECTION_UNSPECIFIED,
    Kind.MOVE_UP: pb.DIRECTION_UP,
    Kind.MOVE_DOWN: pb.DIRECTION_DOWN,
}


def alert_pb(alert: Alert) -> pb.Alert:
    """An alert."""
    within = None
    if alert.deliver_within is not None:
        within = Duration()
        within.FromTimedelta(alert.deliver_within)
    return pb.Alert(
        name=resource_name("alerts", "alr", alert.id),
        card=f"cards/{alert.card}",
        condition=condition_pb(alert.condition),
        note=alert.note,
        deliver_within=within,
        state=pb.ALERT_STATE_ACTIVE if alert.active else pb.ALERT_STATE_INACTIVE,
        snooze_time=stamp(alert.snooze_time),
        create_time=stamp(alert.create_time),
        update_time=stamp(alert.update_time),
        last_fire_time=stamp(alert.last_fire_time),
        fire_count=alert.fire_count,
        etag=alert.etag,
    )


def condition_pb(condition: Condition) -> pb.Condition:
    """A condition."""
    if condition.percent is None:
        level = money_pb(condition.currency or "", condition.value)
        if condition.kind is Kind.PRICE_ABOVE:
            return pb.Condition(price_above=level)
        return pb.Condition(price_below=level)
    change = pb.PercentageChange(percent=condition.percent, direction=_DIRECTIONS[condition.kind])
    return pb.Condition(percentage_change=change)


def firing_pb(firing: Firing) -> pb.Firing:
    """A firing."""
    parent = resource_name("alerts", "alr", firing.alert)
    return pb.Firing(
        name=f"{parent}/firings/{firing.day}",
        day=firing.day.isoformat(),
        price=money_pb(firing.currency, firing.price),
        previous_price=money_pb(firing.currency, firing.previous),
        previous_day=firing.previous_day.isoformat() if firing.previous_day else "",
        reason=firing.reason,
        fire_time=stamp(firing.fire_time),
        **{"import": firing.import_name},
    )
