"""What the local product is made of, and how its parts find each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from libs.local.child import Program
from libs.local.home import Home

# In the order in which they stop: who takes requests first.
SERVICES = ("gateway", "delivery", "alerts", "market")
SECRET_FILES = ["page-token-key"]
LOG_DATABASE = "log"


def module(service: str) -> str:
    """The Python module that runs it."""
    return service if service == "gateway" else f"services.{service}"


@dataclass(frozen=True, slots=True)
class Wiring:
    """Addresses of one run. Ports are by service: (gRPC, metrics)."""

    home: Home
    gateway_listen: str
    ports: Mapping[str, tuple[int, int]]
    databases: Mapping[str, str]
    event_log: str

    def target(self, service: str) -> str:
        """Where a service's gRPC answers."""
        return f"dns:///127.0.0.1:{self.ports[service][0]}"

    def metrics(self, service: str) -> str:
        """Where a service's metrics and health answer."""
        return f"127.0.0.1:{self.ports[service][1]}"

    @property
    def gateway_url(self) -> str:
        """Where people reach the product."""
        host, _, port = self.gateway_listen.rpartition(":")
        everywhere = host in ("", "0.0.0.0", "[::]")  # noqa: S104 # compared, not bound
        return f"http://{'127.0.0.1' if everywhere else host}:{port}"

    def environment(self, service: str) -> dict[str, str]:
        """All that a service is told. What the caller's environment says of its own wins."""
        wired = {
            "PQ_LISTEN": f"127.0.0.1:{self.ports[service][0]}",
            "PQ_METRICS_LISTEN": self.metrics(service),
            "PQ_DATABASE_URL": self.databases[service],
            "PQ_EVENT_LOG": self.event_log,
            "PQ_AUTH_KEYS": str(self.home.public_keys),
            "PQ_SIGNING_KEY": str(self.home.private_key(service)),
            "PQ_PAGE_TOKEN_KEY": str(self.home.secret("page-token-key")),
            "PQ_GATEWAY_LISTEN": self.gateway_listen,
            **{f"PQ_{name.upper()}_TARGET": self.target(name) for name in SERVICES},
        }
        return {**DEFAULTS, **self._files(), **os.environ, **wired}

    def _files(self) -> dict[str, str]:
        return {
            "PQ_GATEWAY_ADMIN_TOKEN": str(self.home.admin_token),
            "PQ_DELIVERY_SECRET_KEYS": str(self.home.secret("delivery-secret-keys")),
            "PQ_PUBLIC_URL": self.gateway_url,
            "PQ_MARKET_RAW": str(self.home.path / "raw"),
            "PQ_EMAIL_SINK": str(self.home.path / "mails"),
        }

    def program(self, service: str) -> Program:
        """How a service is run."""
        # -P: a folder "services" where the person stands is not ours.
        command = [sys.executable, "-P", "-m", module(service)]
        return Program(service, command, self.environment(service), self.home.log(service))

    def document(self) -> dict[str, object]:
        """What endpoints.json tells local commands."""
        return {
            "gateway": self.gateway_url,
            "services": {
                name: {"target": self.target(name), "metrics": self.metrics(name)}
                for name in SERVICES
            },
            "databases": dict(self.databases),
            "event_log": self.event_log,
        }


# What a product on one machine does otherwise than one in a cluster.
DEFAULTS = {
    "PQ_LOG_FORMAT": "json",
    # There is no load balancer that has to notice.
    "PQ_DRAIN_NOTICE": "0",
    # A receiver under development listens on loopback, without TLS.
    "PQ_DELIVERY_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
    "PQ_DELIVERY_ALLOW_HTTP": "true",
    # E-mail goes into a folder, and nowhere else.
    "PQ_EMAIL_PROVIDERS": "sink",
    # Five small processes: one arena each is enough, and saves tens of megabytes.
    "MALLOC_ARENA_MAX": "2",
    "GRPC_VERBOSITY": "NONE",
}
