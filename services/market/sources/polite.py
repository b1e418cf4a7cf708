"""Asking somebody's server politely: slowly, by name, and not again for what has not changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import RequestError
from pyreqwest.request import StreamRequest

from libs.clock import Clock
from services.market.sources.adapter import AwayError

# A JSON document of one group; the largest seen has a tenth of it.
MAX_BYTES = 64 << 20
# Of a body that is read line by line: a list of all cards there are of a game has a tenth of it.
MAX_STREAM = 8 << 30
MAX_LINE = 1 << 20
_RETRIES = (1.0, 5.0, 30.0)
_LONGEST_WAIT = 300.0


@dataclass(frozen=True, slots=True)
class Manners:
    """`pause` seconds between two requests; `contact` tells the server whom to write to. `headers`
    and `query` go with each request and hold what it wants of a key: neither is ever told."""

    contact: str
    pause: float = 0.1
    timeout: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


class Polite:
    """GETs from one server, one at a time."""

    def __init__(
        self,
        base: str,
        manners: Manners,
        clock: Clock,
        sleep: Callable[[float], asyncio.Future[None]] = asyncio.sleep,  # type: ignore[assignment] # a coroutine function is awaited alike
    ) -> None:
        self._base = base.rstrip("/")
        self._manners = manners
        self._clock = clock
        self._sleep = sleep
        self._client: Client | None = None
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def get(self, path: str) -> bytes:
        """The body. Raises AwayError where the server is away, refuses, or breaks off, after some
        tries."""
        told = ""
        for wait in (*_RETRIES, None):
            async with self._turn:
                await self._sleep(max(0.0, self._next - self._clock.monotonic()))
                status, body, asked, told = await self._ask(path)
                self._next = self._clock.monotonic() + self._manners.pause
            if status == 200:
                return body
            if wait is None or (status is not None and status < 500 and status != 429):
                break
            await self._sleep(min(_LONGEST_WAIT, max(wait, asked)))
        raise AwayError(f"{path}: {told}")

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        """The body line by line, without their ends; not tried again. Raises AwayError where the
        server is away, refuses, or breaks off, or where a line is too long."""
        async with self._turn:
            await self._sleep(max(0.0, self._next - self._clock.monotonic()))
            try:
                async for line in self._lines(path):
                    yield line
            except RequestError as error:
                raise AwayError(f"{path}: {_broken(error)}") from None
            finally:
                self._next = self._clock.monotonic() + self._manners.pause

    async def _lines(self, path: str) -> AsyncIterator[bytes]:
        read, rest = 0, b""
        async with self._request(path) as response:
            if response.status != 200:
                raise AwayError(f"{path}: it answered {response.status}")
            length = response.get_header("content-length")
            while (part := await response.body_reader.read(1 << 20)) is not None:
                read += len(part)
                *whole, rest = (rest + bytes(part)).split(b"\n")
                if max(map(len, (rest, *whole))) > MAX_LINE or read > MAX_STREAM:
                    raise AwayError(f"{path}: a line is over {MAX_LINE} bytes, or all {MAX_STREAM}")
                for line in whole:
                    yield line.rstrip(b"\r")
        if (told := _cut(length, read)) is not None:
            raise AwayError(f"{path}: {told}")
        if rest:
            yield rest

    async def close(self) -> None:
        """Closes its connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask(self, path: str) -> tuple[int | None, bytes, float, str]:
        """Status, body, the seconds of Retry-After, and what to say of a failure."""
        body = b""
        try:
            async with self._request(path) as response:
                asked = _seconds(response.get_header("retry-after"))
                if response.status != 200:
                    return response.status, b"", asked, f"it answered {response.status}"
                while (part := await response.body_reader.read(1 << 20)) is not None:
                    body += bytes(part)
                    if len(body) > MAX_BYTES:
                        return 413, b"", 0.0, f"it sends more than {MAX_BYTES} bytes"
                length = response.get_header("content-length")
        except RequestError as error:
            return None, b"", 0.0, _broken(error)
        if (told := _cut(length, len(body))) is not None:
            return None, b"", 0.0, told
        return 200, body, 0.0, ""

    def _request(self, path: str) -> StreamRequest:
        if "://" in path:
            # Another server, which is told no key.
            return self._connected().get(path).build_streamed()
        asking = self._connected().get(f"{self._base}/{path}").headers(self._manners.headers)
        return asking.query(self._manners.query).build_streamed()

    def _connected(self) -> Client:
        if self._client is None:
            self._client = (
                ClientBuilder()
                .user_agent(f"pq (+{self._manners.contact})")
                .follow_redirects(enable=False)
                .timeout(timedelta(seconds=self._manners.timeout))
                .gzip(enable=True)
                .build()
            )
        return self._client


def _broken(error: RequestError) -> str:
    return f"it cannot be reached, or broke off: {type(error).__name__}"


def _cut(length: str | None, read: int) -> str | None:
    """What to say of a body that is shorter than was told."""
    if length is None or not length.isdigit() or int(length) == read:
        return None
    return f"it broke off after {read} of {length} bytes"


def _seconds(header: str | None) -> float:
    return float(header) if header is not None and header.isdigit() else 0.0
