"""The gateway's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.http.gate import Policies
from gateway.http.quota import parse_policy
from libs.config import field
from libs.runtime.config import ServiceConfig, address


def _address(text: str) -> str:
    address(text)
    return text


def _quota(text: str) -> str:
    parse_policy(text)
    return text


@dataclass(frozen=True)
class Config(ServiceConfig):
    """See each field's help."""

    gateway_listen: str = field(
        "PQ_GATEWAY_LISTEN", "127.0.0.1:8080", help="where HTTP listens, host:port", parse=_address
    )
    market_target: str = field("PQ_MARKET_TARGET", help='the market, "dns:///host:port"')
    alerts_target: str = field("PQ_ALERTS_TARGET", help='alerts, "dns:///host:port"')
    delivery_target: str = field("PQ_DELIVERY_TARGET", help='delivery, "dns:///host:port"')
    admin_token: Path | None = field(
        "PQ_GATEWAY_ADMIN_TOKEN", None, help="file of a token that shall be an admin's, for set-up"
    )
    max_body: int = field("PQ_GATEWAY_MAX_BODY", 2**20, help="bytes a request's body may have")
    body_timeout: float = field(
        "PQ_GATEWAY_BODY_TIMEOUT", 10.0, help="seconds a request's body may take to arrive"
    )
    call_timeout: float = field(
        "PQ_GATEWAY_CALL_TIMEOUT", 10.0, help="seconds a call to a service may take"
    )
    cache_bytes: int = field(
        "PQ_GATEWAY_CACHE_BYTES", 64 * 2**20, help="memory for answers to public reads; 0 for none"
    )
    trusted_proxies: tuple[str, ...] = field(
        "PQ_GATEWAY_TRUSTED_PROXIES", (), help="addresses whose X-Forwarded-For is believed"
    )
    limit_anonymous_reads: str = field(
        "PQ_GATEWAY_LIMIT_ANONYMOUS_READS",
        "1200/60",
        help="reads by an address: requests/seconds",
        parse=_quota,
    )
    limit_reads: str = field(
        "PQ_GATEWAY_LIMIT_READS",
        "6000/60",
        help="reads by an account: requests/seconds",
        parse=_quota,
    )
    limit_writes: str = field(
        "PQ_GATEWAY_LIMIT_WRITES",
        "600/60",
        help="changes by an account: requests/seconds",
        parse=_quota,
    )
    limit_signups: str = field(
        "PQ_GATEWAY_LIMIT_SIGNUPS",
        "20/3600",
        help="new accounts from an address: requests/seconds",
        parse=_quota,
    )
    limit_operators: str = field(
        "PQ_GATEWAY_LIMIT_OPERATORS",
        "60000/60",
        help="calls by an operator's token: requests/seconds",
        parse=_quota,
    )

    limit_callbacks: str = field(
        "PQ_GATEWAY_LIMIT_CALLBACKS",
        "6000/60",
        help="reports by mail providers, and answers to links in e-mail, from an address:"
        " requests/seconds",
        parse=_quota,
    )

    def policies(self) -> Policies:
        """The quotas together."""
        return Policies(
            anonymous_reads=parse_policy(self.limit_anonymous_reads, "anonymous-reads"),
            reads=parse_policy(self.limit_reads, "reads"),
            writes=parse_policy(self.limit_writes, "writes"),
            signups=parse_policy(self.limit_signups, "signups"),
            operators=parse_policy(self.limit_operators, "operators"),
            callbacks=parse_policy(self.limit_callbacks, "callbacks"),
        )
