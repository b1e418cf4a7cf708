"""Which events delivery hears of, and what handles them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pq.alerts.v1.alerts_events_pb2 import AlertTriggered
from services.delivery.handlers.alerts import TellOfAlerts

NAME = "delivery.alerts"


def handlers(tell: TellOfAlerts) -> Mapping[type[Any], Any]:
    """By type of event."""
    return {AlertTriggered: tell}
