"""A routed request, from its body to the service and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from google.api.httpbody_pb2 import HttpBody

from gateway.http import content
from gateway.http.auth import NOBODY, Identity
from gateway.http.backends import Backends, Context
from gateway.http.body import BodyReader
from gateway.http.cache import Entry, ReadCache
from gateway.http.csv_lists import Call, CsvLists
from gateway.http.exchange import Exchange, Reply
from gateway.http.gate import Gate
from gateway.http.request import Headers
from gateway.transcode.raw import RawBody
from gateway.transcode.transcoder import Operation
from libs.errors import AppError, Kind
from libs.obs import tracing
from libs.rpc.deadlines import STREAM

JSON_HEADERS: Headers = [("content-type", content.JSON)]
PUBLIC_HEADERS: Headers = [
    *JSON_HEADERS,
    ("cache-control", "public, max-age=30"),
    ("vary", "accept, accept-encoding"),
]
PRIVATE_HEADERS: Headers = [*JSON_HEADERS, ("cache-control", "no-store")]
# Documents may come from links that hold a token: nothing of them is kept, or told to others, and
# nothing in them runs.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
RAW_HEADERS: Headers = [
    ("cache-control", "no-store"),
    ("content-security-policy", _POLICY),
    ("referrer-policy", "no-referrer"),
]
_Key = tuple[str, str]


class Calls:
    """Answers RPCs."""

    def __init__(
        self, gate: Gate, backends: Backends, body: BodyReader, cache: ReadCache, timeout: float
    ) -> None:
        self._gate = gate
        self._backends = backends
        self._body = body
        self._cache = cache
        self._timeout = timeout
        self._reading: dict[_Key, asyncio.Future[Entry]] = {}
        self._lists = CsvLists()

    def hot(self, exchange: Exchange) -> Reply | None:
        """The answer to a public read without a token, from memory; None where there is none.

        Most requests are such: no coroutine is made for them. Raises AppError RATE_LIMITED.
        """
        if exchange.headers.get("authorization") is not None:
            return None
        entry = self._kept(exchange)
        if entry is None:
            return None
        self._gate.enter_unknown(exchange)
        return _serve(exchange, entry)

    async def cached(self, exchange: Exchange) -> Reply | None:
        """The same for whoever shows a token, which is checked. Raises AppError."""
        entry = self._kept(exchange)
        if entry is None:
            return None
        await self._gate.enter(exchange, None)
        return _serve(exchange, entry)

    def _kept(self, exchange: Exchange) -> Entry | None:
        entry = self._cache.get(exchange.path, exchange.query)
        if entry is None:
            return None
        accept = exchange.headers.get("accept")
        if accept not in (None, "*/*", content.JSON) and (
            content.choose_type(accept, csv=True) != content.JSON
        ):
            return None
        exchange.route = "(cached)"
        return entry

    async def answer(self, exchange: Exchange, operation: Operation, path: dict[str, str]) -> Reply:
        """The answer to a routed request. Raises AppError."""
        exchange.route = operation.route.binding.template
        listed = operation.write_item is not None
        form = ""
        if not operation.rpc.answers_raw:
            form = content.choose_type(exchange.headers.get("accept"), csv=listed)
        identity = await self._gate.enter(exchange, operation.rpc)
        parent = tracing.parse(
            exchange.headers.get("traceparent"), exchange.headers.get("tracestate")
        )
        with tracing.span(
            f"{operation.method} {exchange.route}", tracing.SpanKind.SERVER, parent=parent
        ):
            call = await self._decode(exchange, operation, path, identity)
            if form == content.CSV:
                return await self._lists.reply(call, self._send)
            if operation.rpc.streams:
                return await self._document_in_parts(call)
            if operation.rpc.public_read:
                return _serve(exchange, await self._read(exchange, call))
            data = await self._counted(exchange, call)
            if operation.rpc.answers_raw:
                return _document(HttpBody.FromString(data))
            return _fresh(exchange, operation.encode(data))

    async def _decode(
        self,
        exchange: Exchange,
        operation: Operation,
        path: dict[str, str],
        identity: Identity,
    ) -> Call:
        raw = operation.raw is not None
        key = exchange.headers.get("idempotency-key")
        body = await self._body.read(exchange, wanted=bool(operation.body), raw=raw)
        if raw:
            whole = self._raw(exchange, body)
            request = operation.decode_raw(path, exchange.query, whole, key)
        else:
            request = operation.decode(path, exchange.query, body, key)
        client = ""
        if identity is NOBODY and not operation.rpc.rule.read_only:
            client = self._gate.client_of(exchange)
        timeout = STREAM.default if operation.rpc.streams else self._timeout
        context = Context(identity, exchange.request_id, timeout, client)
        return Call(operation, request, context)

    def _raw(self, exchange: Exchange, body: bytes) -> RawBody:
        headers = exchange.headers
        names = set(headers.keys())
        given = {name: ", ".join(headers.get_all(name)) for name in names}
        client = self._gate.client_of(exchange)
        return RawBody(body, given.get("content-type", ""), given, client)

    async def _counted(self, exchange: Exchange, call: Call) -> bytes:
        try:
            return await self._send(call)
        except AppError as error:
            if error.kind is Kind.UNAVAILABLE and call.context.identity is NOBODY:
                self._gate.forgive(exchange, call.operation.rpc)
            raise

    async def _send(self, call: Call) -> bytes:
        return await self._backends.call(call.operation.rpc, call.request, call.context)

    async def _read(self, exchange: Exchange, call: Call) -> Entry:
        """A public read. Those who ask the same at once share one call: after an invalidation
        everybody does."""
        key = (exchange.path, exchange.query)
        running = self._reading.get(key)
        if running is not None:
            return await asyncio.shield(running)
        future = self._reading[key] = asyncio.get_running_loop().create_future()
        try:
            generation = self._cache.generation
            body = call.operation.encode(await self._send(call))
            entry = self._cache.entry(body, PUBLIC_HEADERS)
            self._cache.put(*key, entry, generation)
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # it is told to the one who asked first; others may not wait
            raise
        finally:
            del self._reading[key]
        future.set_result(entry)
        return entry

    async def _document_in_parts(self, call: Call) -> Reply:
        """The first part is there before the answer begins, so that a refusal is still a problem;
        what fails later cuts the connection."""
        parts = self._backends.parts(call.operation.rpc, call.request, call.context)
        first = HttpBody.FromString(await anext(parts))

        async def body() -> AsyncGenerator[bytes]:
            yield first.data
            async for part in parts:
                yield HttpBody.FromString(part).data

        return Reply(200, [("content-type", _kind(first)), *RAW_HEADERS], body())


def _serve(exchange: Exchange, entry: Entry) -> Reply:
    """An entry in the form the client takes, or 304 where the client has it."""
    headers, body = entry.form(gzip=content.takes_gzip(exchange.headers))
    known = exchange.headers.get("if-none-match")
    if known is not None and content.none_match(known, entry.tag):
        kept = [h for h in headers if h[0] not in ("content-type", "content-encoding")]
        return Reply(304, kept)
    return Reply(200, headers, body)


def _document(body: HttpBody) -> Reply:
    """A document of the service's own."""
    return Reply(200, [("content-type", _kind(body)), *RAW_HEADERS], body.data)


def _kind(body: HttpBody) -> str:
    return str(body.content_type) or "application/octet-stream"


def _fresh(exchange: Exchange, body: bytes) -> Reply:
    """An answer for this caller alone."""
    if len(body) >= content.MIN_COMPRESSED and content.takes_gzip(exchange.headers):
        headers = [*PRIVATE_HEADERS, ("content-encoding", "gzip"), ("vary", "accept-encoding")]
        return Reply(200, headers, content.gzip(body))
    return Reply(200, PRIVATE_HEADERS, body)
