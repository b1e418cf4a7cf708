"""What happens around each handler: request id, trace, deadline, caller, metrics, errors.

One wrapper, made once for each RPC when it is registered: an interceptor chain would build a
handler anew for every call.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc

from libs.auth.callers import ANONYMOUS, Caller, set_caller
from libs.auth.rules import Rule
from libs.auth.tokens import Verifier
from libs.errors import AppError, Kind
from libs.obs import metrics, requests, tracing
from libs.rpc import deadlines, failures
from libs.rpc.deadlines import Limits

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Behaviour: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
Streaming: TypeAlias = Callable[[Any, Context], AsyncIterator[Any]]

_BEARER = "bearer "


class Draining:
    """Whether the server is on its way out, and the streams that it will have to end."""

    def __init__(self) -> None:
        self.begun = False
        self.streams: set[asyncio.Task[Any]] = set()

    def end_streams(self) -> None:
        """Ends the response streams still open; their clients are told to come again."""
        self.begun = True
        for task in self.streams:
            task.cancel()


class Guard:
    """Wraps the handlers of one server."""

    def __init__(self, verifier: Verifier, draining: Draining) -> None:
        self._verifier = verifier
        self._draining = draining

    def wrap(self, rule: Rule, handler: grpc.RpcMethodHandler[Any, Any]) -> Any:
        """The handler, guarded by `rule`. Raises TypeError for one that is not asynchronous."""
        codec = (handler.request_deserializer, handler.response_serializer)
        streams = handler.request_streaming or handler.response_streaming
        limits = deadlines.STREAM if streams else deadlines.UNARY
        behaviour = _behaviour(rule.method, handler)
        if handler.response_streaming:
            behaviour = self._streamed(behaviour)
        guarded = self._guarded(rule, _timed(behaviour, limits))
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(guarded, *codec)
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(guarded, *codec)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(guarded, *codec)
        return grpc.unary_unary_rpc_method_handler(guarded, *codec)

    def _guarded(self, rule: Rule, behaviour: Behaviour) -> Any:
        method = rule.method.lstrip("/")
        active = metrics.RPC_SERVER_ACTIVE.labels(method)
        succeeded = metrics.RPC_SERVER_DURATION.labels(method, "OK")

        async def call(request: Any, context: Context) -> Any:
            started = time.perf_counter()
            active.inc()
            code = "CANCELLED"
            sent = failures.text_entries(context.invocation_metadata())
            requests.set_request_id(requests.accept_request_id(sent.get(requests.HEADER)))
            parent = tracing.parse(sent.get(tracing.TRACEPARENT), sent.get(tracing.TRACESTATE))
            try:
                with tracing.span(method, tracing.SpanKind.SERVER, parent=parent) as span:
                    answer, told = await self._answer(rule, behaviour, request, context, sent)
                    if told is not None:
                        span.fail(told.reason)
                if told is None:
                    code = "OK"
                    return answer
                code = told.kind.grpc.name
                await context.abort(told.kind.grpc, failures.message(told), failures.trailers(told))
            finally:
                active.dec()
                child = (
                    succeeded if code == "OK" else metrics.RPC_SERVER_DURATION.labels(method, code)
                )
                child.observe(time.perf_counter() - started)

        return call

    async def _answer(
        self,
        rule: Rule,
        behaviour: Behaviour,
        request: Any,
        context: Context,
        sent: dict[str, str],
    ) -> tuple[Any, AppError | None]:
        try:
            self._admit(rule, sent)
            return await behaviour(request, context), None
        except grpc.aio.AbortError:
            raise  # a servicer of somebody else's making has answered by itself
        except Exception as error:  # noqa: BLE001 # the one place that answers for all of them
            told = failures.public_error(error, rule.method)
            failures.count(told)
            return None, told

    def _admit(self, rule: Rule, sent: dict[str, str]) -> None:
        try:
            caller = self._caller(sent.get("authorization"))
            rule.check(caller)
        except AppError as error:
            metrics.AUTH_REFUSALS.labels(error.reason).inc()
            raise
        set_caller(caller)

    def _caller(self, authorization: str | None) -> Caller:
        if authorization is None:
            return ANONYMOUS
        if authorization[: len(_BEARER)].lower() != _BEARER:
            raise AppError(
                Kind.UNAUTHENTICATED, "token_malformed", 'expected "authorization: Bearer …"'
            )
        return self._verifier.verify(authorization[len(_BEARER) :].strip())

    def _streamed(self, behaviour: Any) -> Behaviour:
        draining = self._draining

        async def stream(request: Any, context: Context) -> None:
            task = asyncio.current_task()
            assert task is not None
            draining.streams.add(task)
            try:
                # Written rather than yielded: a generator that is left suspended when the client
                # goes would be closed by somebody else, in another context.
                async with aclosing(behaviour(request, context)) as items:
                    async for item in items:
                        await context.write(item)
            except asyncio.CancelledError:
                if draining.begun and not context.cancelled():
                    raise AppError(
                        Kind.UNAVAILABLE,
                        "draining",
                        "this server is going; call again",
                        retry_after=0,
                    ) from None
                raise
            finally:
                draining.streams.discard(task)

        return stream


def _timed(behaviour: Behaviour, limits: Limits) -> Behaviour:
    async def timed(request: Any, context: Context) -> Any:
        # Typed as a float, yet None where the client named no deadline.
        asked: float | None = context.time_remaining()
        seconds = limits.default if asked is None else min(asked, limits.maximum)
        deadlines.set_remaining(seconds)
        # gRPC itself ends a call at the deadline its client set; only ours needs a timer.
        if asked is not None and asked <= limits.maximum:
            return await behaviour(request, context)
        try:
            async with asyncio.timeout(seconds) as timer:
                return await behaviour(request, context)
        except TimeoutError:
            if not timer.expired():
                raise
            raise AppError(
                Kind.DEADLINE, "deadline_exceeded", f"not done within {seconds:g} seconds"
            ) from None

    return timed


def _behaviour(method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> Any:
    shapes = (
        handler.unary_unary,
        handler.stream_unary,
        handler.unary_stream,
        handler.stream_stream,
    )
    found = next(behaviour for behaviour in shapes if behaviour is not None)
    if getattr(found, "__module__", "").endswith("_pb2_grpc"):
        # The generated base class's own: the servicer does not have this RPC.
        return _unimplemented
    wanted = (
        inspect.isasyncgenfunction if handler.response_streaming else inspect.iscoroutinefunction
    )
    if not wanted(found):
        kind = "an async generator" if handler.response_streaming else "async"
        raise TypeError(f"{method}: its handler must be {kind}")
    return found


def _unimplemented(_request: Any, _context: Context) -> Any:
    raise NotImplementedError
