"""Asking somebody's server politely: slowly, by name, and not again for what has not changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import RequestError

from libs.clock import Clock
from services.market.sources.adapter import AwayError

# A JSON document of one group; the largest seen has a tenth of it.
MAX_BYTES = 64 << 20
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

    async def close(self) -> None:
        """Closes its connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask(self, path: str) -> tuple[int | None, bytes, float, str]:
        """Status, body, the seconds of Retry-After, and what to say of a failure."""
        asking = self._connected().get(f"{self._base}/{path}")
        request = asking.headers(self._manners.headers).query(self._manners.query).build_streamed()
        body = b""
        try:
            async with request as response:
                asked = _seconds(response.get_header("retry-after"))
                if response.status != 200:
                    return response.status, b"", asked, f"it answered {response.status}"
                while (part := await response.body_reader.read(1 << 20)) is not None:
                    body += bytes(part)
                    if len(body) > MAX_BYTES:
                        return 413, b"", 0.0, f"it sends more than {MAX_BYTES} bytes"
                length = response.get_header("content-length")
        except RequestError as error:
            return None, b"", 0.0, f"it cannot be reached, or broke off: {type(error).__name__}"
        if length is not None and length.isdigit() and int(length) != len(body):
            return None, b"", 0.0, f"it broke off after {len(body)} of {length} bytes"
        return 200, body, 0.0, ""

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


def _seconds(header: str | None) -> float:
    return float(header) if header is not None and header.isdigit() else 0.0
