"""The settings of alerts."""

from __future__ import annotations

from dataclasses import dataclass

from libs.config import field
from libs.runtime import ServiceConfig


@dataclass(frozen=True)
class Config(ServiceConfig):
    """What alerts needs beyond what every service does."""

    market_target: str = field("PQ_MARKET_TARGET", help="the market, dns:///host:port")
    max_active: int = field(
        "PQ_ALERTS_MAX_ACTIVE", 1000, help="how many alerts of one account may watch at a time"
    )
