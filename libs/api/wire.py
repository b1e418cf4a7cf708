"""Small translations between domain values and the wire that every servicer makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from libs.errors import invalid
from libs.ids import decode, encode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def stamp(moment: datetime) -> Timestamp: ...
@overload
def stamp(moment: None) -> None: ...
@overload
def stamp(moment: datetime | None) -> Timestamp | None: ...
def stamp(moment: datetime | None) -> Timestamp | None:
    """The time on the wire; None stays None, which leaves a field unset."""
    if moment is None:
        return None
    since = moment - _EPOCH
    # Timestamp.FromDatetime goes by the calendar, and takes three times as long.
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def moment(value: Timestamp) -> datetime:
    """The time off the wire, aware, in UTC."""
    # Timestamp.ToDatetime makes two more objects, and takes twice as long.
    return _EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1_000)


def resource_name(collection: str, prefix: str, id: UUID) -> str:
    """Such as "alerts/alr_01jc…"."""
    return f"{collection}/{encode(prefix, id)}"


def resource_id(collection: str, prefix: str, name: str, *, field: str = "name") -> UUID:
    """The inverse of `resource_name`. Raises AppError (INVALID) naming `field`."""
    head, _, tail = name.partition("/")
    if head != collection:
        raise invalid(field, f"expected {collection}/{prefix}_…; got {name[:60]!r}", "wrong_name")
    return decode(prefix, tail, field=field)
