"""Somebody's server, for development: takes webhooks over HTTP/1.1 on one port.

Written on asyncio's streams and not on a web framework because it must be able to cut a connection
in the middle of an exchange, which is what real receivers do and none of them offers.
"""

from __future__ import annotations

import asyncio
import random as randomness
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import orjson

from gateway.cli.webhooks.behaviour import DROP, Answer, Behaviour
from gateway.cli.webhooks.verify import Verifier
from libs.clock import Clock, SystemClock

MAX_BODY = 10 * 1024 * 1024
REMEMBERED_IDS = 100_000
_WELCOME = b"pq listen: POST webhooks here\n"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST as it came. `seen` counts the deliveries of this id, this one included."""

    time: datetime
    monotonic: float
    path: str
    id: str
    type: str
    fault: str
    seen: int
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def verified(self) -> bool:
        """Whether its signature is right."""
        return not self.fault


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


class _BadRequestError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Receiver:
    """Listens while entered; `on_delivery` hears of each delivery once it is decided upon.

    `verifier` may be set later, for a secret is known only once the endpoint is made.
    """

    def __init__(
        self,
        on_delivery: Callable[[Delivery], None],
        *,
        verifier: Verifier | None = None,
        behaviour: Behaviour | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self.verifier = verifier or Verifier([])
        self.behaviour = behaviour or Behaviour()
        self.host, self.port = host, port
        self._on_delivery = on_delivery
        self._clock = clock or SystemClock()
        self._random = random
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Raises OSError where the port cannot be had."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}/"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except _BadRequestError as bad:
            _write(writer, Answer(bad.status), keep_alive=False)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read_request(reader, writer)
        if request.method != "POST":
            status = 200 if request.method in ("GET", "HEAD") else 405
            body = _WELCOME if request.method == "GET" else b""
            _write(writer, Answer(status), body, keep_alive=request.keep_alive)
            return request.keep_alive
        answer = self.behaviour.answer(self._random)
        self._on_delivery(self._delivery(request, answer))
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.status == DROP:
            writer.transport.abort()
            return False
        if answer.status == HTTPStatus.NO_CONTENT and (challenge := _challenge(request.body)):
            _write(writer, Answer(200), challenge, keep_alive=request.keep_alive)
        else:
            _write(writer, answer, keep_alive=request.keep_alive)
        await writer.drain()
        return request.keep_alive

    def _delivery(self, request: _Request, answer: Answer) -> Delivery:
        id = request.headers.get("webhook-id", "")
        return Delivery(
            time=self._clock.now(),
            monotonic=self._clock.monotonic(),
            path=request.path,
            id=id,
            type=_type(request.body),
            fault=self.verifier.fault(request.headers, request.body),
            seen=self._count(id),
            status=answer.status,
            headers=request.headers,
            body=request.body,
        )

    def _count(self, id: str) -> int:
        self._seen[id] = count = self._seen.pop(id, 0) + 1
        if len(self._seen) > REMEMBERED_IDS:
            self._seen.popitem(last=False)
        return count


def _type(body: bytes) -> str:
    return str(_document(body).get("type", ""))


def _challenge(body: bytes) -> bytes:
    """What a receiver answers who is asked whether it wants messages; empty for other bodies."""
    document = _document(body)
    data = document.get("data")
    if document.get("type") != "endpoint.verification" or not isinstance(data, dict):
        return b""
    return str(data.get("challenge", "")).encode()


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Request:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.LimitOverrunError:
        raise _BadRequestError(431) from None
    parts = head[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _BadRequestError(400)
    headers = {}
    for line in head[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(reader, headers)
    keep_alive = parts[2] == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return _Request(parts[0], parts[1], headers, body, keep_alive)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader)
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise _BadRequestError(400)
    if int(length) > MAX_BODY:
        raise _BadRequestError(413)
    return await reader.readexactly(int(length))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        except ValueError:
            raise _BadRequestError(400) from None
        if not 0 <= size <= MAX_BODY - len(body):
            raise _BadRequestError(413)
        body += (await reader.readexactly(size + 2))[:-2]
        if size == 0:
            return bytes(body)


def _write(
    writer: asyncio.StreamWriter, answer: Answer, body: bytes = b"", *, keep_alive: bool
) -> None:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unnamed"
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.status != HTTPStatus.NO_CONTENT:
        lines.append(f"content-length: {len(body)}")
    if not keep_alive:
        lines.append("connection: close")
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
