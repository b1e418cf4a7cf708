"""Request bodies: how large, how slow, and what becomes of one that nobody wants."""

from __future__ import annotations

import asyncio
import contextlib

from gateway.http import content
from gateway.http.exchange import Exchange, HttpError
from gateway.http.request import ClientGoneError, Request
from libs.errors import invalid

# A client that still sends when it is refused would see a reset instead of the refusal, so what
# it sends is read and thrown away, up to this much and this long.
DRAIN_BYTES = 64 * 2**20
DRAIN_SECONDS = 5.0
_CLOSE = [("connection", "close")]


class BodyReader:
    """Reads bodies within limits: `max_size` in bytes, `timeout` in seconds."""

    def __init__(self, max_size: int, timeout: float) -> None:
        self._max_size = max_size
        self._timeout = timeout

    async def read(self, exchange: Exchange, *, wanted: bool, raw: bool = False) -> bytes:
        """The body, b"" where there is none; a `raw` one may be of any type.

        Raises HttpError (408, 411, 413, 415).
        """
        size = self._declared(exchange)
        if size == 0:
            return b""
        if not wanted:
            raise invalid("body", "is not taken here", "body_not_taken")
        if not raw:
            content.check_json(exchange.headers.get("content-type"))
        if exchange.headers.get("content-encoding") not in (None, "identity"):
            raise HttpError(415, "unsupported_encoding", "a body must not be compressed")
        try:
            async with asyncio.timeout(self._timeout):
                data = await exchange.request.body()
        except TimeoutError:
            exchange.unread = False  # nothing more is waited for
            told = f"the body did not arrive within {self._timeout:g} seconds"
            raise HttpError(408, "body_timeout", told, _CLOSE) from None
        exchange.unread = False
        return data

    def _declared(self, exchange: Exchange) -> int:
        """The declared length.

        A body without one is refused: how large it will be is known before any of it is read, and
        nothing is left to disagree about with a proxy in front.
        """
        if exchange.headers.get("transfer-encoding") is not None:
            told = "a body must come with Content-Length, not in chunks"
            raise HttpError(411, "length_required", told, _CLOSE)
        size = int(exchange.headers.get("content-length") or 0)  # digits: the parser saw to it
        if size > self._max_size:
            told = f"a body may have {self._max_size} bytes, this has {size}"
            raise HttpError(413, "body_too_large", told, _CLOSE)
        return size


async def drain(request: Request) -> None:
    """Reads on after the answer was given, so that the client gets to read it."""
    left = DRAIN_BYTES
    # The client may be gone, or have gone silent: it was told already, nothing is lost.
    with contextlib.suppress(TimeoutError, ClientGoneError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for piece in request:
                left -= len(piece)
                if left < 0:
                    return
