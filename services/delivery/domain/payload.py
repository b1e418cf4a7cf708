"""The body of a webhook: rendered once, stored, and sent byte for byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def render(event_type: str, moment: datetime, data: Mapping[str, Any]) -> bytes:
    """{"type":…,"timestamp":…,"data":…} as Standard Webhooks asks for, in UTF-8."""
    body = {"type": event_type, "timestamp": timestamp(moment), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC; to the microsecond, or to the second where there is no fraction."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
