"""The RSGI application: every request comes in here, and every one is answered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from gateway.http import abort, body, content, problem
from gateway.http.calls import Calls
from gateway.http.exchange import Exchange, Headers, HeadLimits, HttpError, Reply, Scope, Wire
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
    """Answers requests. `__rsgi__` is what granian calls."""

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

    async def __rsgi__(self, scope: Scope, wire: Wire) -> None:
        """Answers one request."""
        started = time.perf_counter()
        exchange = Exchange(scope)
        self.active += 1
        try:
            reply = await self._safely(exchange, wire)
            await self._send(exchange, reply, wire)
            self._observe(exchange, reply.status, time.perf_counter() - started)
            # A client that waits for "100 Continue" sends nothing until it is told to.
            if exchange.unread and exchange.headers.get("expect") is None:
                await body.drain(wire)
        finally:
            self.active -= 1

    async def _safely(self, exchange: Exchange, wire: Wire) -> Reply:
        try:
            self._limits.check(exchange.headers)
            if exchange.method in _READS and not exchange.unread:
                hot = self._calls.hot(exchange)
                if hot is not None:
                    return hot
            return await self._answer(exchange, wire)
        except AppError as error:
            if error.kind is Kind.INTERNAL:
                self._log_failure(exchange, error)
                error = problem.internal(exchange.request_id)
            return problem.reply(error, exchange.request_id)
        except Exception as error:  # noqa: BLE001 # the last resort: told to the log, not the client
            self._log_failure(exchange, error)
            return problem.reply(problem.internal(exchange.request_id), exchange.request_id)

    async def _answer(self, exchange: Exchange, wire: Wire) -> Reply:
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
        return await self._calls.answer(exchange, wire, operation, fields)

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

    async def _send(self, exchange: Exchange, reply: Reply, wire: Wire) -> None:
        headers = [*reply.headers, *COMMON, ("x-request-id", exchange.request_id), *exchange.quota]
        if isinstance(reply.body, bytes):
            wire.response_bytes(reply.status, headers, reply.body)
            return
        try:
            transport = wire.response_stream(reply.status, headers)
            async for piece in reply.body:
                await transport.send_bytes(piece)
        except Exception as error:  # noqa: BLE001 # whatever it was, the client must see it broke
            self._log_failure(exchange, error)
            abort.abort(exchange.scope.client)

    def _log_failure(self, exchange: Exchange, error: Exception) -> None:
        extra = {
            "http.request.method": exchange.method,
            "http.route": exchange.route,
            "request_id": exchange.request_id,
        }
        log.error("a request failed", exc_info=error, extra=extra)
