"""OpsService of every service of the product, each asked for itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from gateway.cli.access import AccessTokens
from gateway.cli.client import Rest
from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.product import Product
from libs.clock import SystemClock
from libs.errors import AppError, Kind
from libs.rpc.client import plain_channel
from libs.rpc.received import received
from pq.ops.v1 import ops_pb2 as pb
from pq.ops.v1 import ops_pb2_grpc

T = TypeVar("T")

PATIENCE = 10.0
PAGE = 500
_AWAY = {Kind.UNAVAILABLE, Kind.DEADLINE, Kind.CANCELLED}


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, and the service that has it."""

    service: str
    letter: pb.DeadLetter


class Service:
    """One service's OpsService. Its calls raise AppError."""

    def __init__(self, name: str, channel: grpc.aio.Channel, access: AccessTokens) -> None:
        self.name = name
        self._stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
        self._access = access

    async def status(self) -> pb.ServiceStatus:
        """How it stands."""
        status: pb.ServiceStatus = await self._call("GetStatus", pb.GetStatusRequest())
        return status

    async def letters(self) -> list[Letter]:
        """All its dead letters, oldest first, those that were handled after all among them."""
        found: list[Letter] = []
        request = pb.ListDeadLettersRequest(page_size=PAGE)
        while True:
            page: pb.ListDeadLettersResponse = await self._call("ListDeadLetters", request)
            found += [Letter(self.name, letter) for letter in page.dead_letters]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def redrive(self, id: str) -> Letter:
        """Has a letter handled once more."""
        done = await self._call("RedriveDeadLetter", pb.RedriveDeadLetterRequest(id=id))
        return Letter(self.name, done)

    async def resume(self, halted: pb.PartitionStatus) -> None:
        """Lets a halted partition go on."""
        request = pb.ResumePartitionRequest(
            consumer=halted.consumer, topic=halted.topic, partition=halted.partition
        )
        await self._call("ResumePartition", request)

    async def _call(self, method: str, request: Any) -> Any:
        metadata = (("authorization", f"Bearer {await self._access.get()}"),)
        try:
            return await getattr(self._stub, method)(request, metadata=metadata, timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            raise received(error) from error


@asynccontextmanager
async def services(product: Product, names: Sequence[str]) -> AsyncIterator[list[Service]]:
    """The services of these names, or all. Raises CliError for a name that is none's."""
    known = sorted(name for name, address in product.services.items() if address.target)
    for name in names:
        if name not in known:
            product.target(name)  # raises where nothing is known of it
    async with AsyncExitStack() as stack:
        rest = Rest(product.gateway, product.token(), timeout=PATIENCE)
        access = AccessTokens(await stack.enter_async_context(rest), SystemClock())
        found = []
        for name in names or known:
            channel = plain_channel(product.target(name))
            stack.push_async_callback(channel.close)
            found.append(Service(name, channel, access))
        if not found:
            product.target("market")
        yield found


async def ask(
    output: Output, asked: Sequence[Service], question: Callable[[Service], Awaitable[T]]
) -> tuple[list[tuple[Service, T]], Exit]:
    """Everybody's answers, at once; who is away is told of, and makes the exit DEGRADED.

    Raises CliError where nobody answers, or a token may not ask.
    """
    answers: list[tuple[Service, T]] = []
    away: list[CliError] = []
    outcomes = await asyncio.gather(*(map(question, asked)), return_exceptions=True)
    for service, outcome in zip(asked, outcomes, strict=True):
        if isinstance(outcome, AppError):
            error = failed(service, outcome)
            if error.exit is not Exit.UNREACHABLE:
                raise error
            away.append(error)
            output.note(str(error))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            answers.append((service, outcome))
    if away and not answers:
        raise away[0]
    return answers, Exit.DEGRADED if away else Exit.OK


def failed(service: Service, error: AppError) -> CliError:
    """A service's refusal as the command ends with it."""
    told = f"{service.name}: {error.message}"
    if error.kind in _AWAY:
        return CliError(Exit.UNREACHABLE, error.reason, told, "`pq doctor` says what is up")
    if error.kind in (Kind.UNAUTHENTICATED, Kind.FORBIDDEN):
        hint = "this needs an operator's token: `pq token create --role operator` makes one"
        return CliError(Exit.REFUSED, error.reason, told, hint)
    if error.kind.http >= 500:
        return CliError(Exit.FAILED, error.reason, told, f"the log of {service.name} says more")
    return CliError(Exit.REJECTED, error.reason, told)
