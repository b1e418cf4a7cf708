"""A request as it comes off a connection, and the way its answer goes back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote_to_bytes

Headers = list[tuple[str, str]]

HELD = 256 * 1024  # bytes of a body that may wait for their reader; then nothing more is received
_BODILESS = frozenset({204, 304})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}
_STATUS_LINES[499] = "HTTP/1.1 499 Client Closed Request\r\n"


class ClientGoneError(ConnectionError):
    """Whoever asked hung up before the end of the question or of the answer."""


class Line(Protocol):
    """What a request needs of its connection."""

    client: str

    def write(self, data: bytes) -> None: ...
    async def drained(self) -> None: ...
    def hold(self, held: bool) -> None: ...
    def date(self) -> str: ...
    def abort(self) -> None: ...


class HeaderFields:
    """The header fields of a request, by name in lower case.

    `get` gives the value of the first field of a name, or None; `size` is of all values together,
    in characters.
    """

    __slots__ = ("_fields", "_first", "get", "size")

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._fields: list[tuple[str, str]] = []
        self.size = 0
        # The dictionary's own: each request asks seven times and more.
        self.get: Callable[[str], str | None] = self._first.get

    def add(self, name: str, value: str) -> None:
        """Takes the next field."""
        self._fields.append((name, value))
        self._first.setdefault(name, value)
        self.size += len(value)

    def get_all(self, name: str) -> Sequence[str]:
        """The values of all fields of this name, in the order they came."""
        return [value for key, value in self._fields if key == name]

    def keys(self) -> Sequence[str]:
        """The name of each field, repeated ones repeatedly."""
        return [key for key, _ in self._fields]

    def __len__(self) -> int:
        return len(self._fields)


class Request:
    """One request of a connection, and where its answer goes: `respond`, or `begin` and `send`.

    `path` is percent-decoded, bytes that are no UTF-8 replaced by U+FFFD; `query` is as it came;
    `client` is "address:port". The body is read by `body` or by iteration, once.
    """

    __slots__ = (
        "_chunked",
        "_ended",
        "_gone",
        "_held",
        "_keep",
        "_line",
        "_pieces",
        "_waiter",
        "answering",
        "client",
        "headers",
        "method",
        "path",
        "query",
        "version",
    )

    def __init__(self, line: Line) -> None:
        self._line = line
        self.client = line.client
        self.method = ""
        self.path = ""
        self.query = ""
        self.version = "1.1"
        self.headers = HeaderFields()
        self.answering = False
        self._keep = True
        self._chunked = False
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._gone = False
        self._waiter: asyncio.Future[None] | None = None

    def address(self, target: bytes) -> None:
        """Takes the request's target: what stands after the method."""
        path, _, query = target.partition(b"?")
        if b"%" in path:
            path = unquote_to_bytes(path)
        self.path = path.decode("utf-8", "replace")
        self.query = query.decode("latin-1")

    def head_read(self, method: str, version: str, *, keep: bool) -> None:
        """Takes what is known at the head's end; `keep` says that the connection may go on."""
        self.method = method
        self.version = version
        self._keep = keep

    # --- the body

    def received(self, piece: bytes) -> None:
        """Takes the next part of the body."""
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > HELD:
            self._line.hold(True)
        self._wake()

    def completed(self) -> None:
        """The body is whole."""
        self._ended = True
        self._wake()

    @property
    def keep(self) -> bool:
        """Whether another request may follow on the connection; not where some of this one's body
        would be read as the next."""
        return self._keep and self._ended

    @property
    def complete(self) -> bool:
        """Whether all of it was received."""
        return self._ended

    def lost(self) -> None:
        """The client hung up."""
        self._gone = True
        self._wake()

    async def body(self) -> bytes:
        """The whole body. Raises ClientGoneError."""
        return b"".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if not self._ended and self.headers.get("expect") is not None and not self.answering:
            self._line.write(_CONTINUE)
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._held -= len(piece)
                yield piece
            if self._ended:
                return
            if self._gone:
                raise ClientGoneError("the client hung up before the body's end")
            self._line.hold(False)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- the answer

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer. `headers` hold neither Date nor Content-Length; one of Connection
        closes it."""
        self.answering = True
        length = "" if status in _BODILESS else f"content-length: {len(body)}\r\n"
        head = self._head(status, headers, length)
        self._line.write(head + body if body and self.method != "HEAD" else head)

    def begin(self, status: int, headers: Headers) -> None:
        """Begins an answer that comes in parts."""
        self.answering = True
        self._chunked = self.version != "1.0"
        if not self._chunked:
            self._keep = False  # only the connection's end tells such a client the answer's
        framing = "transfer-encoding: chunked\r\n" if self._chunked else ""
        self._line.write(self._head(status, headers, framing))

    async def send(self, part: bytes) -> None:
        """The next part, when what went before has left. Raises ClientGoneError."""
        if self._gone:
            raise ClientGoneError("the client hung up before the answer's end")
        if part and self.method != "HEAD":
            framed = b"%x\r\n%b\r\n" % (len(part), part) if self._chunked else part
            self._line.write(framed)
        await self._line.drained()

    def end(self) -> None:
        """The answer in parts is whole."""
        if self._chunked and self.method != "HEAD":
            self._line.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Cuts the connection, so that an answer that breaks off cannot be taken for whole."""
        self._line.abort()

    def _head(self, status: int, headers: Headers, framing: str) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        # Nothing that a caller sent may begin a line of its own.
        if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
            raise ValueError("a header field holds a line break")
        if "connection: close" in lines or not self._ended:
            self._keep = False
        if not self._keep and "connection:" not in lines:
            framing += "connection: close\r\n"
        elif self._keep and self.version == "1.0":
            framing += "connection: keep-alive\r\n"
        head = f"{_STATUS_LINES[status]}{lines}{framing}date: {self._line.date()}\r\n\r\n"
        return head.encode("latin-1")
