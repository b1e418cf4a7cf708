"""The body of a webhook: rendered once, stored, and sent byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from services.delivery.domain.model import ALERT_TRIGGERED, Message


def render(event_type: str, timestamp: str, data: Mapping[str, Any]) -> bytes:
    """{"type":…,"timestamp":…,"data":…} as Standard Webhooks asks for, in UTF-8."""
    return orjson.dumps({"type": event_type, "timestamp": timestamp, "data": data})


def shown(moment: datetime) -> str:
    """RFC 3339 in UTC; to the microsecond, or to the second where there is no fraction."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat().removesuffix("+00:00") + "Z"


def with_subjects(message: Message) -> Message:
    """A stored message with what is not stored because it can be read from the payload."""
    if message.event_type != ALERT_TRIGGERED:
        return message
    data = orjson.loads(message.payload)["data"]
    return replace(message, subjects=(data["card"],), order_key=data["alert"])
