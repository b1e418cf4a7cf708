"""Finding the product: what runs in a home, and what a person names instead."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.cli.exits import CliError, Exit

DEFAULT_GATEWAY = "http://127.0.0.1:8080"
ADMIN_TOKEN = Path("secrets/admin-token")
ENDPOINTS = Path("run/endpoints.json")
_START = "start the product with `pq up`, or name the home with --home"


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where a service's gRPC and its metrics answer; empty where that is not known."""

    target: str = ""
    metrics: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """A product to talk to. `running` is False where no home tells of one that was started."""

    home: Path
    gateway: str
    services: Mapping[str, ServiceAddress] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    event_log: str = ""
    running: bool = False
    given_token: str | None = None

    def token(self) -> str:
        """The token to speak with. Raises CliError where there is none."""
        if self.given_token:
            return self.given_token
        path = self.home / ADMIN_TOKEN
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            raise CliError(
                Exit.REFUSED,
                "no_token",
                f"no token: none was given, and {path} is not there",
                "give one with --token or PQ_TOKEN, or the product's home with --home or PQ_HOME",
            ) from None
        except OSError as error:
            raise CliError(Exit.REFUSED, "no_token", f"{path}: {error.strerror}") from None

    def target(self, service: str) -> str:
        """The service's gRPC target. Raises CliError where nothing tells it."""
        address = self.services.get(service)
        if address is None or not address.target:
            variable = f"PQ_{service.upper()}_TARGET"
            raise CliError(
                Exit.UNREACHABLE,
                "not_running",
                f"where {service} is, is not known: nothing runs in {self.home}",
                f"{_START}, or set {variable} to dns:///host:port",
            )
        return address.target

    def log_url(self) -> str:
        """The event log's address. Raises CliError where nothing tells it."""
        if not self.event_log:
            raise CliError(
                Exit.UNREACHABLE,
                "not_running",
                f"where the event log is, is not known: nothing runs in {self.home}",
                f"{_START}, or set PQ_EVENT_LOG",
            )
        return self.event_log


def find_home(given: Path | None) -> Path:
    """The home: the one given, else .pq here where there is one, else the project's."""
    if given is not None:
        return given.expanduser().absolute()
    here = Path.cwd() / ".pq"
    if here.is_dir():
        return here
    project = Path(__file__).resolve().parents[2]
    return (project if (project / "pyproject.toml").exists() else Path.cwd()) / ".pq"


def find(
    *,
    home: Path | None = None,
    gateway: str | None = None,
    token: str | None = None,
    targets: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Product:
    """The product to talk to. What is given, or stands in the environment, wins over the home."""
    place = find_home(home)
    told = _read(place / ENDPOINTS)
    services = {
        name: ServiceAddress(_target(entry), str(entry.get("metrics", "")))
        for name, entry in told.get("services", {}).items()
    }
    for name in {*services, "market", "alerts", "delivery"}:
        named = (targets or {}).get(name) or environ.get(f"PQ_{name.upper()}_TARGET")
        if named:
            services[name] = ServiceAddress(named, services.get(name, ServiceAddress()).metrics)
    return Product(
        home=place,
        gateway=_url(gateway or str(told.get("gateway") or DEFAULT_GATEWAY)),
        services=services,
        databases=dict(told.get("databases", {})),
        event_log=environ.get("PQ_EVENT_LOG") or str(told.get("event_log", "")),
        running=bool(told),
        given_token=token,
    )


def _target(entry: Mapping[str, Any]) -> str:
    text = str(entry.get("target") or entry.get("grpc") or "")
    return text if not text or "://" in text else f"dns:///{text}"


def _url(text: str) -> str:
    return text if "://" in text else f"http://{text}"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CliError(
            Exit.FAILED, "broken_home", f"{path} cannot be read: {error}", "start `pq up` anew"
        ) from None
    return found if isinstance(found, dict) else {}
