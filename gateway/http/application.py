"""The HTTP application: every request comes in here, and every one is answered."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any

from gateway.http import body, content, problem
from gateway.http.calls import Calls
from gateway.http.exchange import Exchange, HeadLimits, HttpError, Reply
from gateway.http.request import ClientGoneError, Headers, Request
from gateway.transcode.transcoder import NotRouted, Transcoder
from libs.errors import AppError, Kind
from libs.obs.requests import set_request_id

log = logging.getLogger(__name__)

Observe = Callable[[Exchange, int, float], None]
EXPOSED = "etag, link, pq-next-page-token, ratelimit, ratelimit-policy, retry-after, x-request-id"
# Tokens travel in a header of their own and never in cookies, so any page may call.
COMMON: Headers = [
    ("server", "pq"),
    ("x-content-type-options", "nosniff"),
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", EXPOSED),
]
_READS = frozenset({"GET", "HEAD"})
PREFLIGHT = "authorization, content-type, idempotency-key, if-none-match, traceparent, x-request-id"
PREFLIGHT_AGE = "7200"  # seconds; the longest that browsers keep one


class Page:
    """A document of the gateway's own, such as the API page."""

    def __init__(self, data: bytes, media_type: str, headers: Headers | None = None) -> None:
        tag = content.etag(data)
        self.tag = tag
        self._data = data
        self._packed = content.gzip(data)
        self._plain = [
            ("content-type", media_type),
            ("cache-control", "no-cache"),
            ("vary", "accept-encoding"),
            *(headers or []),
        ]

    def reply(self, exchange: Exchange) -> Reply:
        """The document, or 304."""
        packed = content.takes_gzip(exchange.headers)
        tag = content.etag_gzip(self.tag) if packed else self.tag
        headers = [*self._plain, ("etag", tag)]
        known = exchange.headers.get("if-none-match")
        if known is not None and content.none_match(known, tag):
            return Reply(304, headers)
        if packed:
            return Reply(200, [*headers, ("content-encoding", "gzip")], self._packed)
        return Reply(200, headers, self._data)


class Application:
    """Answers the requests that connections bring."""

    def __init__(
        self,
        transcoder: Transcoder,
        calls: Calls,
        pages: Mapping[str, Page],
        observe: Observe,
        limits: HeadLimits | None = None,
    ) -> None:
        self._transcoder = transcoder
        self._calls = calls
        self._pages = pages
        self._observe = observe
        self._limits = limits or HeadLimits()
        self.active = 0

    def answer(self, request: Request) -> Coroutine[Any, Any, None] | None:
        """Answers from memory and gives None, or gives what will answer, to be awaited.

        Most requests are public reads that are in memory: no task is made for them.
        """
        started = time.perf_counter()
        exchange = Exchange(request)
        reply: Reply | None = None
        try:
            self._limits.check(exchange.headers)
            if exchange.method in _READS and not exchange.unread:
                reply = self._calls.hot(exchange)
        except AppError as error:
            reply = problem.reply(error, exchange.request_id)
        except Exception as error:  # noqa: BLE001 # the last resort: told to the log, not the client
            self._log_failure(exchange, error)
            reply = problem.reply(problem.internal(exchange.request_id), exchange.request_id)
        if reply is None or not request.complete:
            return self._later(exchange, reply, started)
        self._send_whole(exchange, reply)
        self._observe(exchange, reply.status, time.perf_counter() - started)
        return None

    def refuse(self, request: Request, error: AppError) -> None:
        """Answers what could not be read as a request."""
        exchange = Exchange(request)
        reply = problem.reply(error, exchange.request_id)
        reply.headers.append(("connection", "close"))
        self._send_whole(exchange, reply)
        self._observe(exchange, reply.status, 0.0)

    async def _later(self, exchange: Exchange, reply: Reply | None, started: float) -> None:
        self.active += 1
        try:
            if reply is None:
                reply = await self._safely(exchange)
            await self._send(exchange, reply)
            self._observe(exchange, reply.status, time.perf_counter() - started)
            # A client that waits for "100 Continue" sends nothing until it is told to.
            if exchange.unread and exchange.headers.get("expect") is None:
                await body.drain(exchange.request)
        except ClientGoneError:
            pass  # nobody is there to be told
        finally:
            self.active -= 1

    async def _safely(self, exchange: Exchange) -> Reply:
        try:
            return await self._answer(exchange)
        except AppError as error:
            if error.kind is Kind.INTERNAL:
                self._log_failure(exchange, error)
                error = problem.internal(exchange.request_id)
            return problem.reply(error, exchange.request_id)
        except ClientGoneError:
            raise
        except Exception as error:  # noqa: BLE001 # the last resort: told to the log, not the client
            self._log_failure(exchange, error)
            return problem.reply(problem.internal(exchange.request_id), exchange.request_id)

    async def _answer(self, exchange: Exchange) -> Reply:
        method = exchange.method
        if method in _READS and not exchange.unread:
            cached = await self._calls.cached(exchange)
            if cached is not None:
                return cached
        set_request_id(exchange.request_id)
        exchange.check_path()
        if method == "OPTIONS":
            return self._options(exchange)
        page = self._pages.get(exchange.path)
        if page is not None and method in _READS:
            exchange.route = exchange.path
            return page.reply(exchange)
        try:
            operation, fields = self._transcoder.find(method, exchange.path)
        except NotRouted:
            allowed = self._allowed(exchange.path)
            if not allowed:
                raise
            told = f"{method} is not served here, but {allowed}"
            raise HttpError(405, "method_not_allowed", told, [("allow", allowed)]) from None
        return await self._calls.answer(exchange, operation, fields)

    def _options(self, exchange: Exchange) -> Reply:
        allowed = "*" if exchange.path == "*" else self._allowed(exchange.path)
        if not allowed:
            raise NotRouted(frozenset())
        exchange.route = "(options)"
        headers = [("allow", allowed), ("cache-control", "no-store")]
        if exchange.headers.get("access-control-request-method") is not None:
            headers += [
                ("access-control-allow-methods", allowed),
                ("access-control-allow-headers", PREFLIGHT),
                ("access-control-max-age", PREFLIGHT_AGE),
            ]
        return Reply(204, headers)

    def _allowed(self, path: str) -> str:
        methods = self._transcoder.table.methods(path)
        if path in self._pages:
            methods = frozenset({"GET"})
        extra = {"HEAD"} if "GET" in methods else set()
        return ", ".join(sorted(methods | extra | {"OPTIONS"})) if methods else ""

    async def _send(self, exchange: Exchange, reply: Reply) -> None:
        if isinstance(reply.body, bytes):
            self._send_whole(exchange, reply)
        else:
            await self._send_parts(exchange, reply, reply.body)

    def _send_whole(self, exchange: Exchange, reply: Reply) -> None:
        assert isinstance(reply.body, bytes)
        exchange.request.respond(reply.status, _headers(exchange, reply), reply.body)

    async def _send_parts(
        self, exchange: Exchange, reply: Reply, parts: AsyncGenerator[bytes]
    ) -> None:
        request = exchange.request
        try:
            request.begin(reply.status, _headers(exchange, reply))
            async with aclosing(parts):
                async for part in parts:
                    await request.send(part)
            request.end()
        except ClientGoneError:
            raise
        except Exception as error:  # noqa: BLE001 # whatever it was, the client must see it broke
            self._log_failure(exchange, error)
            request.abort()

    def _log_failure(self, exchange: Exchange, error: Exception) -> None:
        extra = {
            "http.request.method": exchange.method,
            "http.route": exchange.route,
            "request_id": exchange.request_id,
        }
        log.error("a request failed", exc_info=error, extra=extra)


def _headers(exchange: Exchange, reply: Reply) -> Headers:
    return [*reply.headers, *COMMON, ("x-request-id", exchange.request_id), *exchange.quota]
