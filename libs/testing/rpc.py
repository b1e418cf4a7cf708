"""Servicers served in process, and callers with real tokens, for the tests of every room.

async with serving((add_AlertServiceServicer_to_server, AlertServicer(...))) as server:
    alerts = AlertServiceStub(server.channel(account(ACCOUNT)))
    await alerts.GetAlert(...)
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc

from libs.auth import ANONYMOUS, Caller, Role
from libs.auth.keys import PublicKeys, SigningKey, generate
from libs.auth.tokens import GATEWAY, CallerTokens, Minter, Verifier
from libs.clock import Clock, SystemClock
from libs.rpc import client
from libs.rpc.retries import RetryPolicy
from libs.rpc.server import Server

ONCE = RetryPolicy(attempts=1)


def account(id: UUID, *, read_only: bool = False) -> Caller:
    """Somebody with a token of this account."""
    return Caller.for_account(id, read_only=read_only)


def operator(role: Role = Role.ADMIN) -> Caller:
    """Somebody with an operator's token."""
    return Caller.for_operator("tokens/tok_test", role)


def service(name: str) -> Caller:
    """A service of ours."""
    return Caller.for_service(name)


class TestKeys:
    """A folder of real keys: the gateway's, and those of services that tests name."""

    __test__ = False  # no test class, whatever pytest makes of the name

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.private = folder / "private"
        self.public = folder / "public"
        self._clock = clock
        generate(GATEWAY, self.private, self.public)

    def minter(self, issuer: str = GATEWAY) -> Minter:
        """Signs with the key of `issuer`, which is made if need be."""
        generate(issuer, self.private, self.public)
        return Minter(SigningKey.load(self.private / f"{issuer}.pem"))

    def verifier(self) -> Verifier:
        """Knows all keys made here, as soon as they are made."""
        return Verifier(PublicKeys(self.public, self._clock, recheck=0), self._clock)

    def token(self, caller: Caller) -> str:
        """A real token for `caller`, signed by whom it must be signed by."""
        issuer = caller.subject if caller.kind.value == "service" else GATEWAY
        return self.minter(issuer).mint_for(caller, self._clock.now())[0]

    def identity(self, caller: Caller) -> client.Identity | None:
        """For a channel that calls in this caller's name."""
        if caller is ANONYMOUS:
            return None
        issuer = caller.subject if caller.kind.value == "service" else GATEWAY
        return FixedIdentity(CallerTokens(self.minter(issuer), self._clock), caller)


class FixedIdentity:
    """Calls in the name of one caller."""

    def __init__(self, tokens: CallerTokens, caller: Caller) -> None:
        self._tokens = tokens
        self._caller = caller

    def token(self) -> str | None:
        """See `libs.rpc.client.Identity`."""
        return self._tokens.token(self._caller)


class Serving:
    """A server that runs, and channels to it."""

    def __init__(self, server: Server, keys: TestKeys) -> None:
        self.server = server
        self.keys = keys
        self.target = f"dns:///127.0.0.1:{server.port}"
        self._channels: list[grpc.aio.Channel] = []

    def channel(self, caller: Caller = ANONYMOUS, retry: RetryPolicy = ONCE) -> grpc.aio.Channel:
        """A channel whose calls come from `caller`, with a token that a real key signed."""
        channel = client.open_channel(self.target, self.keys.identity(caller), retry=retry)
        self._channels.append(channel)
        return channel

    async def close(self) -> None:
        """Ends the channels and the server."""
        for channel in self._channels:
            await channel.close()
        await self.server.stop(grace=1)


@asynccontextmanager
async def serving(
    *servicers: tuple[Callable[[Any, Any], None], Any],
    clock: Clock | None = None,
    listen: str = "127.0.0.1:0",
) -> AsyncIterator[Serving]:
    """Serves (add_XServicer_to_server, servicer) pairs, on a free loopback port by default."""
    clock = clock or SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        keys = TestKeys(Path(folder), clock)
        server = Server(listen, keys.verifier(), reflection=False)
        for add_to_server, servicer in servicers:
            server.add(add_to_server, servicer)
        await server.start()
        await server.set_serving(True)
        running = Serving(server, keys)
        try:
            yield running
        finally:
            await running.close()
