"""The processes that the gateway's measurements talk to: `python -m tests.bench._gateway_parts`.

backend FOLDER: the market with canned cards, behind the real gRPC server and its guard.
gateway FOLDER TARGET CACHE_BYTES: the real HTTP application in front of it.
Each prints its port and runs until stdin closes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop

from gateway.accounts import authenticator as accounts
from gateway.accounts import secrets
from gateway.accounts.domain import Token
from gateway.app import assemble
from gateway.http.backends import GrpcBackend
from gateway.http.cache import ReadCache
from gateway.http.server import HttpServer, bind
from gateway.transcode.descriptors import load
from libs.auth import Caller
from libs.auth.keys import PublicKeys, SigningKey, generate
from libs.auth.tokens import CallerTokens, Minter, Verifier
from libs.clock import SystemClock
from libs.errors import not_found
from libs.rpc.client import plain_channel
from libs.rpc.server import Server
from pq.market.v1 import market_pb2, market_pb2_grpc
from tests.contract.gateway.serving import CONFIG, card

ACCOUNT = UUID("0197a1b2-0000-7000-8000-000000000001")
UNLIMITED = {
    f"limit_{name}": "1000000000/1" for name in ("anonymous_reads", "reads", "writes", "operators")
}


def keys(folder: Path) -> CallerTokens:
    """The gateway's key, made once, and what mints with it."""
    generate("gateway", folder / "private", folder / "public")
    key = SigningKey.load(folder / "private" / "gateway.pem")
    return CallerTokens(Minter(key), SystemClock())


class Market(market_pb2_grpc.MarketServiceServicer):
    """Cards from memory."""

    def __init__(self) -> None:
        self._cards = [card(number) for number in range(1_000)]

    async def GetCard(  # noqa: N802 # gRPC's name
        self, request: market_pb2.GetCardRequest, context: Any
    ) -> market_pb2.Card:
        number = request.name.split("-")[1:2]
        if not number:
            raise not_found(request.name)
        return self._cards[int(number[0])]

    async def ListCards(  # noqa: N802 # gRPC's name
        self, request: market_pb2.ListCardsRequest, context: Any
    ) -> market_pb2.ListCardsResponse:
        return market_pb2.ListCardsResponse(cards=self._cards[: request.page_size or 50])


class SeededAuthenticator(accounts.TokenAuthenticator):
    """The real one, one token of which the database was asked long ago."""

    def __init__(self, access: CallerTokens, secret: str) -> None:
        super().__init__(None, access, _Still())  # type: ignore[arg-type] # never asked
        now = SystemClock().now()
        token = Token(ACCOUNT, "pq_", ACCOUNT, None, False, "", now, None)
        self._verdicts[secrets.digest(secret)] = accounts._Verdict(
            token, Caller.for_account(ACCOUNT), 0.0
        )


class _Still(SystemClock):
    def monotonic(self) -> float:
        return 0.0


async def backend(folder: str) -> None:
    keys(Path(folder))
    clock = SystemClock()
    verifier = Verifier(PublicKeys(Path(folder) / "public", clock), clock)
    server = Server("127.0.0.1:0", verifier, reflection=False)
    server.add(market_pb2_grpc.add_MarketServiceServicer_to_server, Market())
    print(await server.start(), flush=True)
    await _stdin_closed()
    await server.stop(0)


async def gateway(folder: str, target: str, cache_bytes: str) -> None:
    clock = SystemClock()
    secret = (Path(folder) / "secret").read_text()
    cache = ReadCache(clock, int(cache_bytes))
    cache.follow(lambda: 0.0)
    backend = GrpcBackend(plain_channel(target))
    backends = {rpc.service: backend for rpc in load().rpcs}
    config = replace(CONFIG, **UNLIMITED)
    authenticator = SeededAuthenticator(keys(Path(folder)), secret)
    application = assemble(config, backends, authenticator, cache, clock)
    server = HttpServer(application, bind("127.0.0.1", 0))
    server.start()
    print(server.port, flush=True)
    await _stdin_closed()
    await server.stop(1)


async def _stdin_closed() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    core = os.environ.get("PQ_BENCH_CORE")
    if core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core)})
    role, *arguments = sys.argv[1:]
    uvloop.run({"backend": backend, "gateway": gateway}[role](*arguments))
