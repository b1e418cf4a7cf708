"""Somebody's server: takes webhooks, remembers each, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Arrival:
    """One POST as it came; `answered` is False where the connection was dropped on purpose."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`decide(path, id, times seen)` answers a status; 0 drops the connection unanswered."""

    decide: Callable[[str, str, int], int] = lambda _path, _id, _seen: 200
    arrivals: list[Arrival] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Receiver:
        self._seen: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()

    @property
    def ids(self) -> set[str]:
        """The ids that were answered with success."""
        return {arrival.id for arrival in self.arrivals if 200 <= arrival.status < 300}

    async def until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Waits until `condition` holds after some arrival; False when time runs out."""
        ends = time.monotonic() + timeout
        while not condition():
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), ends - time.monotonic())
            except TimeoutError:
                return condition()
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = head[0].split(" ")[1]
        id = headers.get("webhook-id", "")
        seen = self._seen[id] = self._seen.get(id, 0) + 1
        status = self.decide(path, id, seen)
        self.arrivals.append(Arrival(time.monotonic(), path, headers, body, status))
        self._changed.set()
        if status == 0:
            return False
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)
        await writer.drain()
        return True
