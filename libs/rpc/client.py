"""Calls to other services: identity, deadline, repeats, trace, request id, and AppError back.

`open_channel` answers a channel that the generated stubs take. What a stub's methods return is to
be awaited (or iterated, for response streams); grpc's own call objects are not handed out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any, TypeAlias

import grpc

from libs.errors import AppError, Kind
from libs.obs import metrics, requests, tracing
from libs.rpc import deadlines, options
from libs.rpc.identity import Bearer, CallerIdentity, Identity, ServiceIdentity
from libs.rpc.received import received
from libs.rpc.retries import Repeatable, RetryPolicy

__all__ = [
    "Bearer",
    "CallerIdentity",
    "Channel",
    "Identity",
    "ServiceIdentity",
    "open_channel",
    "plain_channel",
]

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
Stream: TypeAlias = AsyncIterable[Any] | Iterable[Any]


def plain_channel(target: str) -> grpc.aio.Channel:
    """A channel with our transport settings and nothing around its calls.

    `target` is "dns:///host:port": all addresses of the name are used in turn.
    """
    return grpc.aio.insecure_channel(target, options=options.CLIENT)


def open_channel(
    target: str, identity: Identity | None = None, *, retry: RetryPolicy | None = None
) -> Channel:
    """A channel whose calls are made as this module says; without `identity` as nobody."""
    return Channel(plain_channel(target), identity, retry or RetryPolicy())


class Channel(grpc.aio.Channel):
    """What `open_channel` answers."""

    def __init__(
        self, inner: grpc.aio.Channel, identity: Identity | None, retry: RetryPolicy
    ) -> None:
        self._inner = inner
        self._identity = identity
        self._retry = retry

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        call = self._inner.unary_unary(method, *args, **kwargs)
        return _Unary(self._outgoing(method), call, self._retry, Repeatable(method))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        call = self._inner.unary_stream(method, *args, **kwargs)
        return _ResponseStream(self._outgoing(method), call, streaming=False)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        call = self._inner.stream_unary(method, *args, **kwargs)
        return _RequestStream(self._outgoing(method), call)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        call = self._inner.stream_stream(method, *args, **kwargs)
        return _ResponseStream(self._outgoing(method), call, streaming=True)

    async def close(self, grace: float | None = None) -> None:
        """See grpc.aio.Channel."""
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See grpc.aio.Channel."""
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See grpc.aio.Channel."""
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See grpc.aio.Channel."""
        await self._inner.channel_ready()

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def _outgoing(self, method: str) -> _Outgoing:
        return _Outgoing(method.lstrip("/"), self._identity)


class _Outgoing:
    """What goes along with each call of one RPC."""

    def __init__(self, method: str, identity: Identity | None) -> None:
        self.method = method
        self._identity = identity

    def metadata(self, given: Metadata | None, trace: tracing.TraceContext | None) -> Metadata:
        sent: list[tuple[str, str | bytes]] = list(given or ())
        names = {name for name, _ in sent}
        if self._identity is not None and "authorization" not in names:
            token = self._identity.token()
            if token is not None:
                sent.append(("authorization", f"Bearer {token}"))
        if requests.HEADER not in names and requests.request_id():
            sent.append((requests.HEADER, requests.request_id()))
        if trace is not None and tracing.TRACEPARENT not in names:
            sent.extend(tracing.headers_of(trace).items())
        return sent

    def seconds(self, timeout: float | None, limits: deadlines.Limits) -> float:
        left = deadlines.budget(timeout, limits)
        if left <= 0:
            raise AppError(
                Kind.DEADLINE, "deadline_exceeded", f"no time left to call {self.method}"
            )
        return left


class _Unary:
    def __init__(
        self, outgoing: _Outgoing, call: Any, retry: RetryPolicy, repeatable: Repeatable
    ) -> None:
        self._outgoing = outgoing
        self._call = call
        self._retry = retry
        self._repeatable = repeatable
        self._seconds = metrics.RPC_CLIENT_DURATION.labels(outgoing.method, "OK")

    async def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Any:
        started = time.monotonic()
        ends = started + self._outgoing.seconds(timeout, deadlines.UNARY)
        with tracing.span(self._outgoing.method, tracing.SpanKind.CLIENT) as span:
            sent = self._outgoing.metadata(metadata, span.context)
            try:
                answer = await self._repeated(request, sent, ends)
            except AppError as error:
                code = error.kind.grpc.name
                metrics.RPC_CLIENT_DURATION.labels(self._outgoing.method, code).observe(
                    time.monotonic() - started
                )
                raise
        self._seconds.observe(time.monotonic() - started)
        return answer

    async def _repeated(self, request: Any, sent: Metadata, ends: float) -> Any:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._call(request, timeout=ends - time.monotonic(), metadata=sent)
            except grpc.aio.AioRpcError as failure:
                error = received(failure)
                error.__cause__ = failure
            left = ends - time.monotonic()
            pause = self._retry.pause(attempt, error, left) if self._repeatable(request) else None
            if pause is None:
                raise error
            metrics.RPC_CLIENT_RETRIES.labels(self._outgoing.method).inc()
            await asyncio.sleep(pause)


class _RequestStream:
    """Never repeated: what was iterated once may not be there again."""

    def __init__(self, outgoing: _Outgoing, call: Any) -> None:
        self._outgoing = outgoing
        self._call = call

    async def __call__(
        self,
        request_iterator: Stream,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
    ) -> Any:
        seconds = self._outgoing.seconds(timeout, deadlines.STREAM)
        source = _Source(request_iterator)
        with tracing.span(self._outgoing.method, tracing.SpanKind.CLIENT) as span:
            sent = self._outgoing.metadata(metadata, span.context)
            try:
                return await self._call(source.items(), timeout=seconds, metadata=sent)
            except grpc.aio.AioRpcError as failure:
                raise received(failure) from failure
            except asyncio.CancelledError:
                source.reraise()
                raise


class _ResponseStream:
    """Never repeated: what was received once must not come again.

    Where requests stream as well, grpc.aio says INTERNAL when the peer's refusal meets a write.
    """

    def __init__(self, outgoing: _Outgoing, call: Any, *, streaming: bool) -> None:
        self._outgoing = outgoing
        self._call = call
        self._streaming = streaming

    async def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> AsyncIterator[Any]:
        seconds = self._outgoing.seconds(timeout, deadlines.STREAM)
        # No span is held open over a generator's yields: they may go on in another context.
        trace = tracing.current()
        sent = self._outgoing.metadata(metadata, tracing.child(trace) if trace else None)
        source = _Source(request) if self._streaming else None
        call = self._call(source.items() if source else request, timeout=seconds, metadata=sent)
        try:
            async for item in call:
                yield item
        except grpc.aio.AioRpcError as failure:
            raise received(failure) from failure
        except asyncio.CancelledError:
            if source is not None:
                source.reraise()
            raise
        finally:
            call.cancel()


class _Source:
    """The caller's requests; keeps what their iterator raises, which grpc makes a cancellation."""

    def __init__(self, source: Stream) -> None:
        self._source = source
        self._error: Exception | None = None

    async def items(self) -> AsyncIterator[Any]:
        try:
            if isinstance(self._source, AsyncIterable):
                async for item in self._source:
                    yield item
            else:
                for item in self._source:
                    yield item
        except Exception as error:
            self._error = error
            raise

    def reraise(self) -> None:
        if self._error is not None:
            raise self._error
