"""Calls to the services, and to the gateway's own servicers in process.

Messages travel as bytes here: the converters parse and print them, gRPC only carries them. The
policy is that of libs.rpc: a deadline on each call, and a repeat after UNAVAILABLE for what changes
nothing or carries a request id.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2

from gateway.http import problem
from gateway.http.auth import Identity
from gateway.transcode.descriptors import ContractError, Rpc
from libs.auth.callers import calling
from libs.db import is_transient
from libs.errors import AppError, Kind, from_status
from libs.obs import tracing
from libs.obs.requests import HEADER

DETAILS = "grpc-status-details-bin"
ATTEMPTS = 3
BACKOFF = 0.05  # seconds before the first repeat, doubled for the next, with full jitter


@dataclass(frozen=True, slots=True)
class Context:
    """What travels with a call; `timeout` in seconds covers all attempts."""

    identity: Identity
    request_id: str
    timeout: float


class Backend(Protocol):
    """What serves the RPCs of a service."""

    async def call(self, rpc: Rpc, request: Message, context: Context) -> bytes:
        """The serialized answer. Raises AppError."""
        ...


class GrpcBackend:
    """A service behind a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._methods: dict[str, Callable[..., Awaitable[bytes]]] = {}

    async def call(self, rpc: Rpc, request: Message, context: Context) -> bytes:
        """See `Backend.call`."""
        method = self._methods.get(rpc.path)
        if method is None:
            # Without serializers grpc carries bytes as they are.
            method = self._methods[rpc.path] = self._channel.unary_unary(rpc.path)
        metadata = [(HEADER, context.request_id), *tracing.headers().items()]
        if context.identity.jwt:
            metadata.append(("authorization", f"Bearer {context.identity.jwt}"))
        body = request.SerializeToString()
        repeatable = rpc.rule.read_only or bool(getattr(request, "request_id", None))
        if not repeatable:
            return await _attempt(method, body, context.timeout, metadata)
        return await _repeat(method, body, context.timeout, metadata)


async def _repeat(
    method: Callable[..., Awaitable[bytes]],
    body: bytes,
    timeout: float,
    metadata: list[tuple[str, str]],
) -> bytes:
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout
    for attempt in range(ATTEMPTS - 1):
        try:
            return await _attempt(method, body, ends - loop.time(), metadata)
        except AppError as error:
            if error.kind is not Kind.UNAVAILABLE:
                raise
        pause = random.uniform(0, BACKOFF * 2**attempt)  # noqa: S311 # jitter, no secret
        if loop.time() + pause >= ends:
            break
        await asyncio.sleep(pause)
    return await _attempt(method, body, ends - loop.time(), metadata)


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
    return AppError(Kind.UNAVAILABLE, "unavailable", told, retry_after=1)


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
        with calling(context.identity.caller):
            try:
                async with asyncio.timeout(context.timeout):
                    answer: Message = await getattr(self._servicer, rpc.name)(request, None)
            except TimeoutError:
                raise _deadline() from None
            except AppError as error:
                raise problem.in_json_names(error) from error
            except Exception as error:
                if is_transient(error):
                    raise unavailable() from error
                raise
        return answer.SerializeToString()


class Backends:
    """Who serves which RPC. Refuses, when built, an RPC that nobody serves."""

    def __init__(self, by_service: Mapping[str, Backend], rpcs: tuple[Rpc, ...]) -> None:
        self._by_service = dict(by_service)
        missing = sorted({rpc.service for rpc in rpcs} - set(by_service))
        if missing:
            raise ContractError(f"no backend serves {', '.join(missing)}")

    async def call(self, rpc: Rpc, request: Message, context: Context) -> bytes:
        """See `Backend.call`."""
        return await self._by_service[rpc.service].call(rpc, request, context)
