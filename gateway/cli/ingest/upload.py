"""One file's way to the market: header, pieces, trailer; sent again as a whole where need be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import grpc

from gateway.cli.access import AccessTokens
from gateway.cli.exits import CliError, Exit
from gateway.cli.ingest.files import FileKind, SourceFile
from libs.clock import Clock
from libs.errors import AppError, Kind
from libs.rpc.received import received
from pq.market.v1 import imports_pb2 as pb
from pq.market.v1 import imports_pb2_grpc

CHUNK = 512 * 1024
CALL_TIMEOUT = 600.0
_KINDS = {FileKind.PRICES: pb.IMPORT_KIND_PRICES, FileKind.CATALOG: pb.IMPORT_KIND_CATALOG}
# The same file again is recognised by its digest, so that sending it anew is always safe.
_AGAIN = {Kind.UNAVAILABLE, Kind.ABORTED, Kind.RATE_LIMITED, Kind.CANCELLED}
_TOKEN = {Kind.UNAUTHENTICATED: "token_refused", Kind.FORBIDDEN: "role_missing"}


@dataclass(frozen=True, slots=True)
class Terms:
    """How files are sent. `patience` is for how many seconds an absent market is waited for."""

    source: str
    backfill: bool = False
    patience: float = 60.0


class RefusedFileError(Exception):
    """The market refused a file as a whole; nothing of it was kept."""

    def __init__(self, error: AppError) -> None:
        super().__init__(error.message)
        self.error = error


class Uploader:
    """Sends files one at a time, for the market needs their order.

    `on_bytes(n)` hears of each piece as it leaves, and of -n when a file starts anew;
    `on_wait(why)` of each pause before that.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        access: AccessTokens,
        terms: Terms,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_bytes: Callable[[int], None] = lambda _n: None,
        on_wait: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._stub: Any = imports_pb2_grpc.ImportServiceStub(channel)
        self._access = access
        self._terms = terms
        self._clock = clock
        self._sleep = sleep
        self._on_bytes = on_bytes
        self._on_wait = on_wait

    async def send(self, file: SourceFile) -> pb.Import:
        """Sends a file until there is an answer.

        Raises RefusedFileError where the file is at fault, CliError where the market stays away
        or does not let us in.
        """
        gives_up = self._clock.monotonic() + self._terms.patience
        pause, token_refused = 0.2, False
        while True:
            try:
                return await self._once(file)
            except grpc.aio.AioRpcError as failure:
                error = received(failure)
            if error.kind is Kind.UNAUTHENTICATED and not token_refused:
                token_refused = True
                self._access.forget()
                continue
            if error.kind not in _AGAIN:
                raise _final(file, error)
            if self._clock.monotonic() + pause > gives_up:
                raise _away(error, self._terms.patience)
            self._on_wait(error.message)
            await self._sleep(max(pause, error.retry_after or 0.0))
            pause = min(pause * 2, 2.0)

    async def _once(self, file: SourceFile) -> pb.Import:
        metadata = (("authorization", f"Bearer {await self._access.get()}"),)
        sent = 0

        async def parts() -> AsyncIterator[pb.ImportFileRequest]:
            nonlocal sent
            digest = sha256()
            yield pb.ImportFileRequest(header=self._header(file))
            with file.path.open("rb") as stream:
                while piece := stream.read(CHUNK):
                    digest.update(piece)
                    yield pb.ImportFileRequest(chunk=piece)
                    sent += len(piece)
                    self._on_bytes(len(piece))
            trailer = pb.ImportTrailer(sha256=digest.hexdigest(), size=sent)
            yield pb.ImportFileRequest(trailer=trailer)

        try:
            answer: pb.Import = await self._stub.ImportFile(
                parts(), metadata=metadata, timeout=CALL_TIMEOUT
            )
        except grpc.aio.AioRpcError:
            self._on_bytes(-sent)
            raise
        return answer

    def _header(self, file: SourceFile) -> pb.ImportHeader:
        return pb.ImportHeader(
            kind=_KINDS[file.kind],
            source=self._terms.source,
            day=file.claim,
            file_name=file.path.name,
            backfill=self._terms.backfill,
        )


def _final(file: SourceFile, error: AppError) -> Exception:
    if error.kind in _TOKEN:
        return CliError(
            Exit.REFUSED,
            _TOKEN[error.kind],
            f"the market does not let us in: {error.message}",
            "sending files needs a token with the role ingest or admin: --token or PQ_TOKEN",
        )
    if error.kind.http >= 500:
        return CliError(
            Exit.FAILED,
            error.reason,
            f"{file.path}: {error.message}",
            "nothing of this file was kept; run the same command again",
        )
    return RefusedFileError(error)


def _away(error: AppError, patience: float) -> CliError:
    return CliError(
        Exit.UNREACHABLE,
        "market_unreachable",
        f"the market did not take the file in {patience:g} s: {error.message}",
        "`pq doctor` says what is up; run the same command again: what was taken is recognised",
    )
