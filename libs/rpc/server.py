"""The gRPC server: guarded handlers, health, reflection, and a way out that drops nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from libs.auth.rules import find_rule
from libs.auth.tokens import Verifier
from libs.rpc import options
from libs.rpc.handlers import Draining, Guard

log = logging.getLogger(__name__)

# Open to everybody, without a rule: they tell nothing that a stranger could not learn anyway.
EXEMPT = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class MissingRuleError(Exception):
    """Servicers were registered with RPCs that say nothing about who may call them."""

    def __init__(self, methods: Sequence[str]) -> None:
        super().__init__(f"no pq.auth.v1.rule that lets anybody in: {', '.join(methods)}")
        self.methods = tuple(methods)


class AddressInUseError(Exception):
    """Somebody else listens there."""


class Server:
    """Serves on `listen`, "host:port"; port 0 takes a free one.

    Its health is NOT_SERVING until it is told otherwise.
    """

    def __init__(self, listen: str, verifier: Verifier, *, reflection: bool = True) -> None:
        self._listen = listen
        self._draining = Draining()
        self._guard = Guard(verifier, self._draining)
        self._services: dict[str, dict[str, Any]] = {}
        self._reflection = reflection
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self.port = 0

    def add(self, add_to_server: Callable[[Any, Any], None], servicer: Any) -> None:
        """Registers a servicer with its generated `add_XServicer_to_server`.

        Raises MissingRuleError, and TypeError for a handler that is not asynchronous.
        """
        recorder = _Recorder()
        add_to_server(servicer, recorder)
        for service, handlers in recorder.found.items():
            self._services[service] = self._guarded(service, handlers)

    @property
    def services(self) -> tuple[str, ...]:
        """The full names of what is served."""
        return tuple(self._services)

    async def start(self) -> int:
        """Listens; answers the port. Raises AddressInUseError."""
        server = grpc.aio.server(options=options.SERVER)
        generic = [
            grpc.method_handlers_generic_handler(service, handlers)
            for service, handlers in self._services.items()
        ]
        server.add_generic_rpc_handlers(generic)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        await self.set_serving(False)
        if self._reflection:
            from grpc_reflection.v1alpha import reflection

            reflection.enable_server_reflection([*self._services, *EXEMPT], server)
        try:
            self.port = server.add_insecure_port(self._listen)
        except RuntimeError as error:
            raise AddressInUseError(f"{self._listen} cannot be listened on: it is taken") from error
        await server.start()
        self._server = server
        return self.port

    async def set_serving(self, serving: bool) -> None:
        """What grpc.health.v1 answers, for the server and for each service."""
        status = _SERVING if serving else _NOT_SERVING
        for name in ("", *self._services):
            await self._health.set(name, status)

    async def leave(self) -> None:
        """Says NOT_SERVING from now on, so that clients look elsewhere."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float, *, stream_grace: float = 2) -> None:
        """Takes no new call, and gives those under way `grace` seconds.

        Response streams have `stream_grace` seconds: one that is a feed never ends by itself.
        """
        if self._server is None:
            return
        ending = asyncio.get_running_loop().call_later(
            min(stream_grace, grace), self._draining.end_streams
        )
        try:
            await self._server.stop(grace)
        finally:
            ending.cancel()

    def _guarded(self, service: str, handlers: Mapping[str, Any]) -> dict[str, Any]:
        rules = {name: find_rule(f"/{service}/{name}") for name in handlers}
        missing = [f"{service}/{name}" for name, rule in rules.items() if rule is None]
        if missing:
            raise MissingRuleError(missing)
        return {
            name: self._guard.wrap(rule, handlers[name])
            for name, rule in rules.items()
            if rule is not None
        }


class _Recorder:
    """Stands in for a server while a servicer is registered, and keeps its handlers."""

    def __init__(self) -> None:
        self.found: dict[str, Mapping[str, Any]] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """The same handlers come again, by name, through the other method."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Keeps them."""
        self.found[service] = handlers
