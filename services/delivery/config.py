"""Delivery's settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from libs.config import field
from libs.runtime import ServiceConfig
from libs.runtime.config import address
from services.delivery.channels.email.settings import EmailSettings
from services.delivery.domain.addresses import Network, parse_networks
from services.delivery.domain.schedule import DEFAULT_DELAYS, parse_delays
from services.delivery.inbound.settings import InboundSettings


def _networks(text: str) -> tuple[Network, ...]:
    return parse_networks(text.split(","))


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 600:
        raise ValueError("expected seconds, more than 0 and at most 600")
    return value


def _servers(text: str) -> tuple[tuple[str, int], ...]:
    servers = tuple(address(part.strip()) for part in text.split(",") if part.strip())
    for host, _ in servers:
        ip_address(host)  # a name would need another server first
    return servers


def _interval(text: str) -> float:
    value = float(text)
    if not 60 <= value <= 604_800:
        raise ValueError("expected seconds, 60 to 604800")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError("expected more than 0 and at most 1")
    return value


def _days(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 3650:
        raise ValueError("expected days, 1 to 3650")
    return value


def _proxy(text: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s]+/?", text):
        raise ValueError("expected http://host:port or https://host:port")
    return text


def _number(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100_000:
        raise ValueError("expected 1 to 100000")
    return value


@dataclass(frozen=True)
class Config(ServiceConfig, EmailSettings, InboundSettings):
    """Delivery's settings. `drain_grace` must be longer than `attempt_deadline`."""

    secret_keys: Path = field(
        "PQ_DELIVERY_SECRET_KEYS",
        help="file of keys that seal signing secrets: lines of an id and base64 of 32 bytes;"
        " the first seals, the others still open",
    )
    allow_networks: tuple[Network, ...] = field(
        "PQ_DELIVERY_ALLOW_NETWORKS",
        (),
        help="networks that webhooks may go to although they are not public,"
        " such as 127.0.0.0/8,::1/128",
        parse=_networks,
    )
    proxy: str = field(
        "PQ_DELIVERY_PROXY",
        "",
        help="URL of an HTTP proxy that all webhooks go through, such as http://proxy.example:3128;"
        " it must refuse private addresses itself",
        parse=_proxy,
    )
    allow_http: bool = field(
        "PQ_DELIVERY_ALLOW_HTTP", False, help="whether endpoints may be http, for development"
    )
    require_verification: bool = field(
        "PQ_DELIVERY_REQUIRE_VERIFICATION",
        False,
        help="whether every new endpoint must answer a challenge before it is sent anything",
    )
    retry_delays: tuple[float, ...] = field(
        "PQ_DELIVERY_RETRY_DELAYS",
        DEFAULT_DELAYS,
        help="seconds from one attempt to the next, with commas between",
        parse=parse_delays,
    )
    attempt_deadline: float = field(
        "PQ_DELIVERY_ATTEMPT_DEADLINE",
        15.0,
        help="seconds that one attempt may take in all",
        parse=_seconds,
    )
    lease_lifetime: float = field(
        "PQ_DELIVERY_LEASE_LIFETIME",
        10.0,
        help="seconds of silence after which a worker's deliveries pass to others",
        parse=_seconds,
    )
    breaker_minimum: int = field(
        "PQ_DELIVERY_BREAKER_MINIMUM",
        10,
        help="answers of an endpoint within a minute before its breaker can open",
        parse=_number,
    )
    breaker_share: float = field(
        "PQ_DELIVERY_BREAKER_SHARE",
        0.5,
        help="the share of them that must have failed, more than 0 and at most 1",
        parse=_share,
    )
    breaker_open: float = field(
        "PQ_DELIVERY_BREAKER_OPEN",
        30.0,
        help="seconds that it is open for the first time; then twice as long each time, up to"
        " 15 minutes",
        parse=_seconds,
    )
    breaker_probes: int = field(
        "PQ_DELIVERY_BREAKER_PROBES",
        3,
        help="attempts that a half-open breaker lets through at a time",
        parse=_number,
    )
    disable_after: float = field(
        "PQ_DELIVERY_DISABLE_AFTER",
        5.0,
        help="days of nothing but failure after which an endpoint is disabled; its owner is warned"
        " after three fifths of them",
        parse=_days,
    )
    retention: float = field(
        "PQ_DELIVERY_RETENTION",
        30.0,
        help="days that messages are kept, and held for endpoints that are paused or disabled",
        parse=_days,
    )
    slots: int = field("PQ_DELIVERY_SLOTS", 128, help="attempts under way at a time", parse=_number)
    credit: int = field(
        "PQ_DELIVERY_CREDIT", 16, help="attempts under way at a time at one endpoint", parse=_number
    )
    dns: tuple[tuple[str, int], ...] = field(
        "PQ_DELIVERY_DNS",
        (),
        help="DNS servers that sending domains are checked with, such as 192.0.2.53:53; by default"
        " the system's",
        parse=_servers,
    )
    domain_interval: float = field(
        "PQ_DELIVERY_DOMAIN_INTERVAL",
        3600.0,
        help="seconds from one check of a sending domain to the next",
        parse=_interval,
    )
