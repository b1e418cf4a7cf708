"""Requests, read into domain values; every fault is told with the field it is in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from libs.api import filters
from libs.api.wire import moment, resource_id
from libs.errors import Violation, invalid, invalid_all
from pq.alerts.v1 import alerts_pb2 as pb
from services.alerts.domain import alerts, conditions
from services.alerts.domain.conditions import Condition, Kind
from services.alerts.domain.faults import FieldError
from services.alerts.handlers.alerts import NewAlert

T = TypeVar("T")

LIST_COLUMNS = {
    "card": filters.text("('cards/' || c.name)"),
    "state": filters.choice(
        "a.active", {"ALERT_STATE_ACTIVE": True, "ALERT_STATE_INACTIVE": False}
    ),
    "create_time": filters.moment("a.create_time"),
    "last_fire_time": filters.moment("f.fire_time"),
}
_MOVES = {
    pb.DIRECTION_UNSPECIFIED: Kind.MOVE,
    pb.DIRECTION_UP: Kind.MOVE_UP,
    pb.DIRECTION_DOWN: Kind.MOVE_DOWN,
}


class _Faults:
    """Collects what is wrong, so that a caller learns of all of it at once."""

    def __init__(self) -> None:
        self.found: list[Violation] = []

    def read(self, field: str, reader: Callable[[], T]) -> T | None:
        """What `reader` answers; None where it raises FieldError, which is kept."""
        try:
            return reader()
        except FieldError as error:
            path = f"{field}.{error.field}" if error.field else field
            self.found.append(Violation(path, error.expected, error.reason))
            return None


def new_alert(request: pb.CreateAlertRequest) -> NewAlert:
    """The alert asked for. Raises AppError (INVALID) with all faults."""
    if not request.HasField("alert"):
        raise invalid("alert", "expected an alert", "required")
    asked, faults = request.alert, _Faults()
    card = faults.read("alert.card", lambda: alerts.card_id(_given(asked.card, "cards/{card}")))
    condition = _condition(asked.condition, faults)
    note = faults.read("alert.note", lambda: alerts.note(asked.note))
    within = None
    if asked.HasField("deliver_within"):
        within = faults.read("alert.deliver_within", lambda: _span(asked.deliver_within))
    if faults.found or card is None or condition is None or note is None:
        raise invalid_all(faults.found)
    return NewAlert(card, condition, note, within)


def alert_id(name: str, field: str = "name") -> UUID:
    """The id in "alerts/{alert}". Raises AppError (INVALID)."""
    if not name:
        raise invalid(field, "expected alerts/{alert}", "required")
    return resource_id("alerts", "alr", name, field=field)


def snooze_time(request: pb.SnoozeAlertRequest, now: datetime) -> datetime | None:
    """Until when; None ends the quiet. Raises AppError (INVALID)."""
    if not request.HasField("snooze_time"):
        raise invalid("snooze_time", "expected a time", "required")
    try:
        return alerts.snooze_until(_moment(request.snooze_time), now)
    except FieldError as error:
        raise invalid("snooze_time", error.expected, error.reason) from error


def _condition(asked: pb.Condition, faults: _Faults) -> Condition | None:
    kind = asked.WhichOneof("kind")
    field = f"alert.condition.{kind}"
    if kind == "price_above":
        money = asked.price_above
        level = Kind.PRICE_ABOVE
    elif kind == "price_below":
        money = asked.price_below
        level = Kind.PRICE_BELOW
    elif kind == "percentage_change":
        change = asked.percentage_change
        return faults.read(field, lambda: _move(change))
    else:
        expected = "expected one of price_above, price_below, percentage_change"
        faults.found.append(Violation("alert.condition", expected, "required"))
        return None
    return faults.read(field, lambda: conditions.level(level, money.currency_code, money.amount))


def _move(change: pb.PercentageChange) -> Condition:
    kind = _MOVES.get(change.direction)
    if kind is None:
        names = ", ".join(pb.Direction.keys())
        raise FieldError("direction", "unknown_value", f"expected one of {names}")
    return conditions.move(kind, change.percent)


def _given(text: str, form: str) -> str:
    if not text:
        raise FieldError("", "required", f"expected {form}")
    return text


def _span(value: Duration) -> timedelta:
    try:
        return alerts.deliver_within(value.ToTimedelta())
    except (ValueError, OverflowError) as error:
        if isinstance(error, FieldError):
            raise
        raise FieldError("", "out_of_range", "expected a duration") from error


def _moment(value: Timestamp) -> datetime:
    try:
        return moment(value)
    except (ValueError, OverflowError) as error:
        raise FieldError("", "out_of_range", "expected a time of the years 1 to 9999") from error
