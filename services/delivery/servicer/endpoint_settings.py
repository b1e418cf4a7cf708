"""An endpoint's settings, from the contract's message and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from libs.errors import invalid
from pq.delivery.v1 import delivery_pb2 as pb
from services.delivery.domain import model, settings
from services.delivery.domain.custom_headers import check_headers, shown_headers
from services.delivery.domain.settings import Ordering, Settings, SignatureKind

# What a field of the message makes of the settings. The URL is checked apart: its host is resolved.
_CHANGES: dict[str, Callable[[Settings, pb.Endpoint], dict[str, Any]]] = {
    "url": lambda _before, asked: {"url": asked.url},
    "description": lambda _before, asked: {
        "description": model.check_description(asked.description, "endpoint.description")
    },
    "event_types": lambda _before, asked: {
        "event_types": model.check_event_types(tuple(asked.event_types), "endpoint.event_types")
    },
    "metadata": lambda _before, asked: {
        "metadata": settings.check_metadata(asked.metadata, "endpoint.metadata")
    },
    "headers": lambda before, asked: {
        "headers": check_headers(asked.headers, before.headers, "endpoint.headers")
    },
    "cards": lambda _before, asked: {
        "cards": settings.check_names(asked.cards, "cards", "endpoint.cards")
    },
    "portfolios": lambda _before, asked: {
        "portfolios": settings.check_names(asked.portfolios, "portfolios", "endpoint.portfolios")
    },
    "rate_limit": lambda _before, asked: {
        "rate_limit": settings.check_rate_limit(asked.rate_limit, "endpoint.rate_limit")
    },
    "max_in_flight": lambda _before, asked: {
        "max_in_flight": settings.check_max_in_flight(asked.max_in_flight, "endpoint.max_in_flight")
    },
    "ordering": lambda _before, asked: {
        "ordering": _choice(asked.ordering, Ordering, "endpoint.ordering") or Ordering.UNORDERED
    },
    "retry_schedule": lambda _before, asked: {
        "retry_delays": settings.check_retry_delays(
            [_seconds(wait) for wait in asked.retry_schedule], "endpoint.retry_schedule"
        )
    },
    "deliver_by_default": lambda _before, asked: {
        "deliver_within": settings.check_deliver_within(
            _seconds(asked.deliver_by_default) if asked.HasField("deliver_by_default") else None,
            "endpoint.deliver_by_default",
        )
    },
    "signatures": lambda _before, asked: {"signatures": _signatures(asked.signatures)},
}
FIELDS = tuple(_CHANGES)


def read_settings(asked: pb.Endpoint) -> Settings:
    """What a new endpoint is to be. Raises AppError (INVALID) naming the field."""
    return changed(Settings(url=""), asked, FIELDS)


def changed(before: Settings, asked: pb.Endpoint, fields: Sequence[str]) -> Settings:
    """The settings with these fields as they are asked for. Raises AppError (INVALID)."""
    after = before
    for name in fields:
        after = replace(after, **_CHANGES[name](before, asked))
    return after


def settings_fields(of: Settings) -> dict[str, Any]:
    """The settings as the contract's message has them; without credentials."""
    return {
        "url": of.url,
        "description": of.description,
        "event_types": of.event_types,
        "metadata": of.metadata,
        "headers": shown_headers(of.headers),
        "cards": of.cards,
        "portfolios": of.portfolios,
        "rate_limit": of.rate_limit or 0.0,
        "max_in_flight": of.max_in_flight or 0,
        "ordering": pb.EndpointOrdering.ValueType(of.ordering),
        "retry_schedule": [_duration(delay) for delay in of.retry_delays],
        "deliver_by_default": (None if of.deliver_within is None else _duration(of.deliver_within)),
        "signatures": [pb.SignatureKind.ValueType(kind) for kind in of.signatures],
    }


def _signatures(asked: Sequence[int]) -> tuple[SignatureKind, ...]:
    kinds = [
        _choice(kind, SignatureKind, f"endpoint.signatures[{at}]") for at, kind in enumerate(asked)
    ]
    return tuple(dict.fromkeys(kind for kind in kinds if kind is not None))


def _choice(value: int, kind: Any, field: str) -> Any:
    """None for the unspecified one."""
    if value == 0:
        return None
    try:
        return kind(value)
    except ValueError:
        raise invalid(field, "is none of the known values", "unknown_value") from None


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _duration(seconds: float) -> Duration:
    made = Duration()
    made.FromTimedelta(timedelta(seconds=seconds))
    return made
