"""Somebody's server, as badly behaved as a test asks for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

TIMEOUT = 10.0


@dataclass(frozen=True)
class Arrival:
    """One POST as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


# Writes an answer, or does not; returns whether the connection may be used again.
Behaviour = Callable[[Arrival, asyncio.StreamWriter], Awaitable[bool]]


def answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """A whole answer."""

    async def behave(_arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
        told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{told}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One after the other, the last for ever."""
    left = list(behaviours)

    async def behave(arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
        return await (left.pop(0) if len(left) > 1 else left[0])(arrival, writer)

    return behave


async def drop(_arrival: Arrival, _writer: asyncio.StreamWriter) -> bool:
    """Ends the connection without a word."""
    return False


async def hang(_arrival: Arrival, _writer: asyncio.StreamWriter) -> bool:
    """Never answers."""
    await asyncio.Event().wait()
    return False


def dribble(head: bytes, byte: bytes, pause: float) -> Behaviour:
    """Sends `head`, then a byte at a time, for ever."""

    async def behave(_arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
        writer.write(head)
        while not writer.is_closing():
            await writer.drain()
            await asyncio.sleep(pause)
            writer.write(byte)
        return False

    return behave


def held(until: asyncio.Event, then: Behaviour) -> Behaviour:
    """Answers as soon as `until` is set."""

    async def behave(arrival: Arrival, writer: asyncio.StreamWriter) -> bool:
        await until.wait()
        return await then(arrival, writer)

    return behave


@dataclass
class Receiver:
    """A server on loopback. `paths` says who behaves how; the others answer 200."""

    paths: dict[str, Behaviour] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    port: int = 0
    connections: int = 0
    tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Receiver:
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, path: str = "/") -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.path == path]

    async def wait_for(self, count: int, path: str | None = None) -> list[Arrival]:
        """Waits until so many came."""

        def found() -> list[Arrival]:
            return self.arrivals if path is None else self.at(path)

        async with asyncio.timeout(TIMEOUT), self._changed:
            await self._changed.wait_for(lambda: len(found()) >= count)
        return found()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        arrival = Arrival(head[0].split(" ")[1], headers, body)
        async with self._changed:
            self.arrivals.append(arrival)
            self._changed.notify_all()
        return await self.paths.get(arrival.path, answer(200))(arrival, writer)
