"""Calls to the services, and to the gateway's own servicers in process.

Messages travel as bytes here: the converters parse and print them, gRPC only carries them. The
policy is that of libs.rpc: a deadline on each call, and a repeat after UNAVAILABLE for what changes
nothing or carries a request id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2

from gateway.http import problem
from gateway.http.auth import Identity
from gateway.transcode.descriptors import ContractError, Rpc
from libs.auth.callers import Caller, calling
from libs.db import is_transient
from libs.errors import AppError, Kind, from_status
from libs.obs import metrics, tracing
from libs.obs.requests import HEADER
from libs.rpc.retries import RetryPolicy

DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Context:
    """What travels with a call; `timeout` in seconds covers all attempts.

    `client` is the address of an anonymous caller who changes something, else empty.
    """

    identity: Identity
    request_id: str
    timeout: float
    client: str = ""

    @property
    def caller(self) -> Caller:
        """Who calls; where nobody knows, at least from where."""
        caller = self.identity.caller
        return replace(caller, subject=f"{caller.subject}@{self.client}") if self.client else caller


class Backend(Protocol):
    """What serves the RPCs of a service."""

    async def call(self, rpc: Rpc, request: Message, context: Context) -> bytes:
        """The serialized answer. Raises AppError."""
        ...

    def parts(self, rpc: Rpc, request: Message, context: Context) -> AsyncIterator[bytes]:
        """The serialized parts of a document, of an RPC that streams. Raises AppError."""
        ...


class GrpcBackend:
    """A service behind a channel."""

    def __init__(self, channel: grpc.aio.Channel, retry: RetryPolicy | None = None) -> None:
        self._channel = channel
        self._retry = retry or RetryPolicy()
        self._methods: dict[str, Callable[..., Awaitable[bytes]]] = {}

    async def call(self, rpc: Rpc, request: Message, context: Context) -> bytes:
        """See `Backend.call`."""
        method = self._methods.get(rpc.path)
        if method is None:
            # Without serializers grpc carries bytes as they are.
            method = self._methods[rpc.path] = self._channel.unary_unary(rpc.path)
        metadata = _metadata(context)
        ends = time.monotonic() + context.timeout
        repeatable = rpc.rule.read_only or bool(getattr(request, "request_id", None))
        body, attempt = request.SerializeToString(), 0
        while True:
            attempt += 1
            left = ends - time.monotonic()
            try:
                return await _attempt(method, body, left, metadata)
            except AppError as error:
                pause = self._retry.pause(attempt, error, ends - time.monotonic())
                if not repeatable or pause is None:
                    raise
            metrics.RPC_CLIENT_RETRIES.labels(rpc.path.lstrip("/")).inc()
            await asyncio.sleep(pause)

    async def parts(self, rpc: Rpc, request: Message, context: Context) -> AsyncIterator[bytes]:
        """See `Backend.parts`. One deadline is over all of it, and nothing is tried again."""
        method: Any = self._channel.unary_stream(rpc.path)
        body, metadata = request.SerializeToString(), _metadata(context)
        try:
            async for part in method(body, timeout=context.timeout, metadata=metadata):
                yield part
        except grpc.aio.AioRpcError as error:
            raise told(error) from error


def _metadata(context: Context) -> list[tuple[str, str]]:
    metadata = [(HEADER, context.request_id), *tracing.headers().items()]
    if context.identity.jwt:
        metadata.append(("authorization", f"Bearer {context.identity.jwt}"))
    return metadata


async def _attempt(
    method: Callable[..., Awaitable[bytes]],
    body: bytes,
    timeout: float,
    metadata: list[tuple[str, str]],
) -> bytes:
    try:
        return await method(body, timeout=max(timeout, 0.001), metadata=metadata)
    except grpc.aio.AioRpcError as error:
        raise told(error) from error


def told(error: grpc.aio.AioRpcError) -> AppError:
    """What a client is told of a failed call.

    Only our services' own words are passed on: they come with details. What grpc says itself names
    addresses. A service that refuses our token is our fault, not the caller's.
    """
    found = None
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS:
            found = from_status(status_pb2.Status.FromString(value))
    if found is None or not found.reason:
        found = _GENERIC.get(error.code(), _GENERIC[grpc.StatusCode.UNKNOWN])()
    if found.kind is Kind.UNAUTHENTICATED:
        found = unavailable()
    return problem.in_json_names(found)


def unavailable() -> AppError:
    """A service that cannot be reached."""
    told = "a service behind this is away; try again"
    return AppError(Kind.UNAVAILABLE, "unavailable", told)


def _deadline() -> AppError:
    return AppError(Kind.DEADLINE, "deadline_exceeded", "this took too long; it may yet be done")


def _too_large() -> AppError:
    return AppError(Kind.TOO_LARGE, "too_large", "the answer is too large; ask for smaller pages")


def _failed() -> AppError:
    return AppError(Kind.INTERNAL, "internal", "something went wrong behind this")


def _unimplemented() -> AppError:
    return AppError(Kind.UNIMPLEMENTED, "unimplemented", "the service behind this does not know it")


def _cancelled() -> AppError:
    return AppError(Kind.UNAVAILABLE, "cancelled", "the call was called off; try again")


_GENERIC: Mapping[grpc.StatusCode, Callable[[], AppError]] = {
    grpc.StatusCode.UNAVAILABLE: unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: _deadline,
    grpc.StatusCode.RESOURCE_EXHAUSTED: _too_large,
    grpc.StatusCode.UNIMPLEMENTED: _unimplemented,
    grpc.StatusCode.CANCELLED: _cancelled,
    grpc.StatusCode.UNKNOWN: _failed,
}


class LocalBackend:
    """A servicer of the gateway's own, called in process and in the caller's name."""

    def __init__(self, servicer: Any) -> None:
        self._servicer = servicer

    async def call(self, rpc: Rpc, request: Message, context: Context) -> bytes:
        """See `Backend.call`. The servicer gets no gRPC context: it raises AppError."""
        with calling(context.caller), _answering():
            async with asyncio.timeout(context.timeout):
                answer: Message = await getattr(self._servicer, rpc.name)(request, None)
        return answer.SerializeToString()

    async def parts(self, rpc: Rpc, request: Message, context: Context) -> AsyncIterator[bytes]:
        """See `Backend.parts`. The servicer asks who calls before its first part."""
        found: AsyncIterator[Message] = getattr(self._servicer, rpc.name)(request, None)
        with calling(context.caller), _answering():
            async with asyncio.timeout(context.timeout):
                first = await anext(found)
        yield first.SerializeToString()
        async for part in found:
            yield part.SerializeToString()


@contextmanager
def _answering() -> Iterator[None]:
    """Errors as clients are told them."""
    try:
        yield
    except TimeoutError:
        raise _deadline() from None
    except AppError as error:
        raise problem.in_json_names(error) from error
    except Exception as error:
        if is_transient(error):
            raise unavailable() from error
        raise


class Backends:
    """Who serves which RPC: `serving` names a gRPC service, or a package for all of its services.

    Refuses, when built, an RPC that nobody serves.
    """

    def __init__(self, serving: Mapping[str, Backend], rpcs: tuple[Rpc, ...]) -> None:
        self._by_service: dict[str, Backend] = {}
        for service in sorted({rpc.service for rpc in rpcs}):
            backend = serving.get(service) or serving.get(service.rpartition(".")[0])
            if backend is None:
                raise ContractError(f"no backend serves {service}")
            self._by_service[service] = backend

    async def call(self, rpc: Rpc, request: Message, context: Context) -> bytes:
        """See `Backend.call`."""
        return await self._by_service[rpc.service].call(rpc, request, context)

    def parts(self, rpc: Rpc, request: Message, context: Context) -> AsyncIterator[bytes]:
        """See `Backend.parts`."""
        return self._by_service[rpc.service].parts(rpc, request, context)
