"""The real HTTP server on a loopback port, over canned services behind real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import orjson
from google.protobuf.message import Message

from gateway.app import assemble
from gateway.config import Config
from gateway.http.application import Application
from gateway.http.auth import NOBODY, Identity
from gateway.http.backends import GrpcBackend
from gateway.http.cache import ReadCache
from gateway.http.server import HttpServer, bind
from gateway.transcode.descriptors import load
from libs.auth import Caller, Role
from libs.clock import SystemClock
from libs.errors import AppError, Kind, not_found
from libs.rpc import failures
from libs.rpc.client import plain_channel
from pq.alerts.v1 import alerts_pb2
from pq.market.v1 import market_pb2

ACCOUNT = "0197a1b2-0000-7000-8000-000000000001"
CONFIG = Config(
    database_url="unused",
    event_log="unused",
    auth_keys=Path("unused"),
    signing_key=Path("unused"),
    page_token_key=Path("unused"),
    market_target="unused",
    alerts_target="unused",
    delivery_target="unused",
    limit_anonymous_reads="1000000/1",
    limit_signups="1000000/1",
    call_timeout=5.0,
)


def card(number: int) -> market_pb2.Card:
    """A card like a real one."""
    return market_pb2.Card(
        name=f"cards/pokemon-{number}-holofoil",
        display_name=f"Charizard ex, no. {number}",
        category="pokemon",
        product_id=number,
        printing="Holofoil",
        set_id=604,
        set_name="Base Set (Shadowless)",
        number="004/102",
        rarity="Double Rare",
        sealed=False,
        image_uri=f"https://images.example/{number}_200w.jpg",
        headline=market_pb2.Quote(
            day="2026-01-31",
            source="tcgplayer",
            currency_code="USD",
            market="12.50",
            low="9.99",
            mid="13.00",
            high="999.00",
        ),
    )


CALLERS = {
    "account": Caller.for_account(UUID(ACCOUNT)),
    "reader": Caller.for_account(UUID(ACCOUNT), read_only=True),
    "admin": Caller.for_operator("tokens/tok_a", Role.ADMIN),
    "ingest": Caller.for_operator("tokens/tok_i", Role.INGEST),
}


class Authenticator:
    """Tokens by name: "Bearer account", "Bearer reader", "Bearer admin", "Bearer ingest"."""

    async def authenticate(self, authorization: str | None) -> Identity:
        if authorization is None:
            return NOBODY
        name = authorization.removeprefix("Bearer ")
        if name not in CALLERS:
            raise AppError(Kind.UNAUTHENTICATED, "token_unknown", "no such token")
        return Identity(CALLERS[name], jwt=f"jwt-of-{name}")


Answer = Callable[[Any, dict[str, str]], Awaitable[Message]]


@dataclass
class Canned:
    """Serves every RPC of the contract: what `answers` says, else an empty message.

    `calls` holds (RPC, request, metadata) in the order they came.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[tuple[str, Message, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rpcs = {rpc.path: rpc for rpc in load().rpcs}
        self.answers = {
            "GetCard": self._get_card,
            "ListCards": self._list_cards,
            "CreateAlert": self._create_alert,
            **self.answers,
        }

    def service(self, details: Any) -> Any:
        """grpc.GenericRpcHandler's one method."""
        rpc = self._rpcs.get(details.method)
        if rpc is None:
            return None

        async def call(request: Message, context: Any) -> Message:
            metadata = {k: v for k, v in context.invocation_metadata() or () if isinstance(v, str)}
            self.calls.append((rpc.name, request, metadata))
            try:
                answer = self.answers.get(rpc.name)
                return await answer(request, metadata) if answer else rpc.output()
            except AppError as error:
                await context.abort(error.kind.grpc, error.message, failures.trailers(error))
                raise AssertionError("abort raises") from error

        return grpc.unary_unary_rpc_method_handler(
            call, rpc.input.FromString, rpc.output.SerializeToString
        )

    async def _get_card(self, request: market_pb2.GetCardRequest, _: Any) -> Message:
        number = request.name.split("-")[1] if request.name.count("-") == 2 else ""
        if not number.isdigit():
            raise not_found(request.name)
        return card(int(number))

    async def _list_cards(self, request: market_pb2.ListCardsRequest, _: Any) -> Message:
        first, size = int(request.page_token or 0), request.page_size or 50
        last = min(first + size, 2_500)
        token = str(last) if last < 2_500 else ""
        cards = [card(number) for number in range(first, last)]
        return market_pb2.ListCardsResponse(cards=cards, next_page_token=token)

    async def _create_alert(self, request: alerts_pb2.CreateAlertRequest, _: Any) -> Message:
        alert = alerts_pb2.Alert()
        alert.CopyFrom(request.alert)
        alert.name, alert.state, alert.etag = "alerts/alr_1", 1, "e1"
        alert.create_time.FromJsonString("2026-01-31T12:00:00Z")
        return alert


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, canned: Canned) -> None:
        self._canned = canned

    def service(self, details: Any) -> Any:
        return self._canned.service(details)


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        return ", ".join(found) if found else None

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Served:
    """A running gateway, and what is behind it."""

    port: int
    canned: Canned
    cache: ReadCache
    application: Application
    server: HttpServer
    grpc_server: grpc.aio.Server

    async def ask(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """One request on a connection of its own."""
        lines = [f"{method} {target} HTTP/1.1", "Host: test", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return parse(await self.raw(head + (body or b"")), method)

    async def post(
        self, target: str, data: Any, token: str = "account", **headers: str
    ) -> Response:
        """A JSON body, by an account."""
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask(
            "POST", target, sent, data if isinstance(data, bytes) else orjson.dumps(data)
        )

    async def raw(self, data: bytes, timeout: float = 10) -> bytes:
        """Sends bytes, reads until the server closes."""
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(data)
                return await reader.read()
            finally:
                writer.close()
                await writer.wait_closed()


def parse(data: bytes, method: str = "GET") -> Response:
    """Reads one HTTP/1.1 answer to its end. Raises where it is cut short."""
    head, _, rest = data.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = [
        (name.lower(), value.strip()) for name, _, value in (x.partition(":") for x in lines)
    ]
    response = Response(int(status_line.split()[1]), headers, b"")
    if response.header("transfer-encoding") == "chunked":
        while True:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)  # a missing last chunk is a ValueError
            if length == 0:
                return response
            response.body += rest[:length]
            rest = rest[length + 2 :]
    response.body = rest
    declared = int(response.header("content-length") or 0)
    assert method == "HEAD" or response.status in (204, 304) or declared == len(rest), "cut short"
    return response


async def until(holds: Callable[[], Awaitable[bool] | bool], seconds: float = 5) -> None:
    """Waits for a condition, for so many seconds at most."""
    async with asyncio.timeout(seconds):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.005)


async def behind(canned: Canned) -> tuple[grpc.aio.Server, int]:
    """A started gRPC server of canned answers, and its port."""
    backend = grpc.aio.server()
    backend.add_generic_rpc_handlers([_Handler(canned)])
    port = backend.add_insecure_port("127.0.0.1:0")
    await backend.start()
    return backend, port


@asynccontextmanager
async def serving(canned: Canned | None = None, **settings: Any) -> AsyncIterator[Served]:
    """A gateway that runs while the block does."""
    canned = canned or Canned()
    backend, port = await behind(canned)
    config = replace(CONFIG, **settings)
    channel = plain_channel(f"dns:///127.0.0.1:{port}")
    clock = SystemClock()
    cache = ReadCache(clock, config.cache_bytes)
    services = {rpc.service for rpc in load().rpcs}
    backends = {service: GrpcBackend(channel) for service in services}
    application = assemble(config, backends, Authenticator(), cache, clock)
    server = HttpServer(application, bind("127.0.0.1", 0))
    server.start()
    try:
        yield Served(server.port, canned, cache, application, server, backend)
    finally:
        await server.stop(2)
        await channel.close()
        await backend.stop(None)
