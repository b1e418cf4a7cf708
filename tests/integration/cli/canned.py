"""A REST server with canned answers, on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


Answer = tuple[int, Any]
Route = Callable[[Asked], Answer | Awaitable[Answer]]


@dataclass
class Canned:
    """`routes` by "METHOD /path"; what is not there answers 404 as the gateway does."""

    routes: dict[str, Route] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    async def __aenter__(self) -> Canned:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def calls(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        url = urlsplit(target)
        body = json.loads(raw) if raw else None
        asked = Asked(method, url.path, dict(parse_qsl(url.query)), headers, body)
        self.asked.append(asked)
        status, document = await self._answer(asked)
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        lines = f"HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {len(data)}\r\n\r\n"
        writer.write(lines.encode() + data)
        await writer.drain()
        writer.close()

    async def _answer(self, asked: Asked) -> Answer:
        route = self.routes.get(f"{asked.method} {asked.path}")
        if route is None:
            return 404, problem(404, "not_found", f"{asked.path} does not exist")
        answer = route(asked)
        return answer if isinstance(answer, tuple) else await answer


def problem(status: int, reason: str, detail: str, **more: Any) -> dict[str, Any]:
    """A document as RFC 9457 has it."""
    return {"status": status, "title": "T", "detail": detail, "reason": reason} | more
