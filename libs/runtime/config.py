"""The settings that every service has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from libs.config import field


def address(text: str) -> tuple[str, int]:
    """Host and port of "host:port", "[v6]:port" or ":port". Raises ValueError."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise ValueError("expected host:port")
    return host.strip("[]"), int(port)


def _address_text(text: str) -> str:
    address(text)
    return text


@dataclass(frozen=True)
class ServiceConfig:
    """What a service needs to run at all; a service's own Config derives from it."""

    # The service's name; by default that of the package its Config stands in.
    service: ClassVar[str] = ""

    listen: str = field(
        "PQ_LISTEN", "127.0.0.1:0", help="where gRPC listens, host:port", parse=_address_text
    )
    metrics_listen: str = field(
        "PQ_METRICS_LISTEN",
        "127.0.0.1:0",
        help="where /metrics, /healthz and /readyz listen, host:port",
        parse=_address_text,
    )
    database_url: str = field("PQ_DATABASE_URL", help="the service's database", secret=True)
    database_connections: int = field(
        "PQ_DATABASE_CONNECTIONS", 10, help="at most this many connections to it"
    )
    event_log: str = field(
        "PQ_EVENT_LOG", help="the event log, postgres://… or kafka://…", secret=True
    )
    auth_keys: Path = field("PQ_AUTH_KEYS", help="folder of public keys, <kid>.pem")
    signing_key: Path = field("PQ_SIGNING_KEY", help="this service's private key, <kid>.pem")
    page_token_key: Path = field(
        "PQ_PAGE_TOKEN_KEY", help="file of at least 32 random bytes, equal in all replicas"
    )
    log_level: str = field("PQ_LOG_LEVEL", "INFO", help="DEBUG, INFO, WARNING or ERROR")
    log_format: str = field(
        "PQ_LOG_FORMAT", "auto", help="json, plain, or auto: plain on a terminal"
    )
    drain_notice: float = field(
        "PQ_DRAIN_NOTICE", 1.0, help="seconds from NOT_SERVING until no new call is taken"
    )
    drain_grace: float = field(
        "PQ_DRAIN_GRACE", 25.0, help="seconds that work under way gets to finish"
    )
    reflection: bool = field("PQ_REFLECTION", True, help="whether gRPC tells what it serves")

    @classmethod
    def service_name(cls) -> str:
        """Such as "market"."""
        parts = cls.__module__.split(".")
        return cls.service or (parts[1] if parts[0] == "services" else parts[0])
