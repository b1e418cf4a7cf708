"""HTTP/1.1 on one connection: llhttp reads (by httptools), this keeps order, limits and time.

Requests of a connection are answered one after another, in the order they came. While one is under
way and another waits, or answers do not leave, nothing more is received.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

import httptools

from gateway.http.exchange import HttpError
from gateway.http.request import Request
from libs.errors import AppError

log = logging.getLogger(__name__)

HEAD_SIZE = 65_536  # bytes of a head, after which no more of it is read
FIELDS = 100  # of a head; more are not kept
HEAD_TIME = 10  # seconds for a request's head to arrive
IDLE_TIME = 75  # seconds that a connection may be silent between two requests
STUCK_TIME = 60  # seconds that a client may read nothing of what is sent to it
LATECOMER_TIME = 0.25  # seconds for a client that comes while the server ends to ask
LINGER_TIME = 5  # seconds that a refused client has to read why
HIGH_WATER = 256 * 1024  # bytes of answers that wait to leave; then no further request is taken
# Names are chosen by strangers: only so many, and only short ones, are remembered in lower case.
_NAMES: dict[bytes, str] = {}
_MANY_NAMES, _LONG_NAME = 512, 64


class Application(Protocol):
    """Answers requests."""

    def answer(self, request: Request) -> Coroutine[Any, Any, None] | None:
        """Answers at once and gives None, or gives the coroutine that will answer."""
        ...

    def refuse(self, request: Request, error: AppError) -> None:
        """Answers what is no request that can be read."""
        ...


class Shared(Protocol):
    """What all connections of a server have in common."""

    application: Application
    stopping: bool
    tick: int  # whole seconds
    date: str  # as an HTTP field tells it

    def joined(self, connection: Connection) -> None: ...
    def left(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._waiting: deque[Request] = deque()
        self._receiving: Request | None = None  # whose head or body is being received
        self._current: Request | None = None  # that is being answered
        self._task: asyncio.Task[None] | None = None
        self._target = b""
        self._heading = False  # a head has begun, and not ended
        self._head_size = 0
        self._fault: HttpError | None = None  # after it nothing more is read
        self._held = self._choked = self._paused = self._finished = self._closed = False
        self._drained: asyncio.Future[None] | None = None
        self._since = shared.tick
        self.client = ""

    # --- what the transport tells

    def connection_made(self, transport: Any) -> None:
        """A client is there."""
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)
        host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.client = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._shared.joined(self)
        if self._shared.stopping:  # it came between the last look and the end of listening
            asyncio.get_running_loop().call_later(LATECOMER_TIME, self.retire)

    def connection_lost(self, _error: Exception | None) -> None:
        """The client is gone. What it asked for is done all the same, but an answer in parts ends:
        nobody reads it."""
        self._closed = True
        self._shared.left(self)
        self._waiting.clear()
        for request in (self._receiving, self._current):
            if request is not None:
                request.lost()
        self._wake()
        if self._task is not None and self._current is not None and self._current.answering:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        if self._fault is not None or self._finished:
            return
        amid_head = self._heading
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here: the request is answered, and what follows is not.
            self._finished = True
        except httptools.HttpParserError as error:
            self._fault = _malformed(error, data)
        if amid_head and self._heading:
            self._head_size += len(data)
            if self._head_size > HEAD_SIZE:
                self._fault = _too_large()
        self._advance()

    def eof_received(self) -> bool:
        """The client sends no more, and still reads where an answer is due."""
        self._finished = True
        if self._receiving is not None:  # whose body will never be whole
            self._receiving.lost()
        return self._current is not None or bool(self._waiting)

    def pause_writing(self) -> None:
        """Answers leave more slowly than they are made."""
        self._choked = True
        self._since = self._shared.tick

    def resume_writing(self) -> None:
        """They have left."""
        self._choked = False
        self._wake()
        self._advance()

    # --- what the parser tells

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._receiving = Request(self)
        self._target = b""
        self._heading = True
        self._head_size = 0
        self._since = self._shared.tick

    def on_url(self, target: bytes) -> None:
        """The target, or a part of it."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field."""
        known = _NAMES.get(name)
        if known is None:
            known = name.decode("latin-1").lower()
            if len(name) <= _LONG_NAME and len(_NAMES) < _MANY_NAMES:
                _NAMES[name] = known
        assert self._receiving is not None
        headers = self._receiving.headers
        if len(headers) < FIELDS:
            headers.add(known, value.decode("latin-1"))
        else:
            self._fault = _too_large()

    def on_headers_complete(self) -> None:
        """The head is whole: the answer may begin, whether or not a body follows."""
        self._heading = False
        request, parser = self._receiving, self._parser
        assert request is not None
        keep = parser.should_keep_alive() and not parser.should_upgrade()
        request.head_read(parser.get_method().decode(), parser.get_http_version(), keep=keep)
        request.address(self._target)
        if self._fault is None:
            self._waiting.append(request)

    def on_body(self, piece: bytes) -> None:
        """A part of the body."""
        assert self._receiving is not None
        self._receiving.received(piece)

    def on_message_complete(self) -> None:
        """The request is whole."""
        assert self._receiving is not None
        self._receiving.completed()
        self._receiving = None

    # --- what requests ask for

    def write(self, data: bytes) -> None:
        """Sends; nothing where the client is gone."""
        if not self._closed:
            self._transport.write(data)

    async def drained(self) -> None:
        """Returns when there is room for more."""
        while self._choked and not self._closed:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def hold(self, held: bool) -> None:
        """Receives nothing more while a body waits for its reader."""
        self._held = held
        self._flow()

    def date(self) -> str:
        """Now, as an HTTP field."""
        return self._shared.date

    def abort(self) -> None:
        """Cuts the connection."""
        self._transport.abort()

    # --- what the server asks for

    def retire(self) -> None:
        """Ends the connection, or has it end with the answers that are due."""
        if self._current is None and not self._waiting and not self._heading:
            self._transport.close()

    def check_time(self, tick: int) -> None:
        """Ends the connection where the client has taken too long."""
        age = tick - self._since
        if self._choked:
            if age > STUCK_TIME:
                self._transport.abort()
        elif self._current is not None:
            return  # whoever answers has deadlines of its own
        elif self._fault is not None:
            if age > LINGER_TIME:
                self._transport.abort()
        elif self._heading and age > HEAD_TIME:
            told = f"the request's head did not arrive within {HEAD_TIME} seconds"
            self._fault = HttpError(408, "head_timeout", told)
            self._advance()
        elif age > IDLE_TIME:
            self._transport.close()

    # --- order

    def _advance(self) -> None:
        """Answers what waits, as far as nothing has to be waited for."""
        while self._current is None and not self._choked and not self._closed:
            if not self._waiting:
                if self._fault is not None:
                    self._tell_fault(self._fault)
                break
            request = self._current = self._waiting.popleft()
            coroutine = self._shared.application.answer(request)
            if coroutine is not None:
                self._task = asyncio.get_running_loop().create_task(self._run(coroutine))
                break
            self._after(request)
        if self._waiting or self._paused:
            self._flow()

    async def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        request = self._current
        assert request is not None
        try:
            await coroutine
        except asyncio.CancelledError:
            if not self._closed:
                raise
        except Exception:
            log.exception("an answer failed")
            self._transport.abort()
        finally:
            self._task = None
            self._after(request)
        self._advance()

    def _after(self, request: Request) -> None:
        self._current = None
        self._held = False
        self._since = self._shared.tick
        more = self._waiting or not self._finished
        if self._closed or (request.keep and more and not self._shared.stopping):
            return
        self._waiting.clear()
        self._finished = True
        self._transport.close()

    def _tell_fault(self, fault: HttpError) -> None:
        if self._finished:
            return
        self._finished = True
        self._since = self._shared.tick
        request = Request(self)
        request.completed()
        self._shared.application.refuse(request, fault)
        # Closed at once, the connection would be reset under a client that is still sending, and
        # the answer lost.
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _flow(self) -> None:
        wanted = self._held or self._choked or (self._current is not None and bool(self._waiting))
        if wanted == self._paused or self._closed or self._transport.is_closing():
            return
        self._paused = wanted
        if wanted:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)


def _malformed(error: Exception, data: bytes) -> HttpError:
    if isinstance(error, httptools.HttpParserInvalidMethodError) and data[:1].isalpha():
        return HttpError(501, "method_unknown", "this is no method of HTTP")
    return HttpError(400, "bad_request", f"what came cannot be read as a request: {error}")


def _too_large() -> HttpError:
    return HttpError(
        431,
        "headers_too_large",
        f"a head of {HEAD_SIZE} bytes and {FIELDS} fields is taken at most",
    )
