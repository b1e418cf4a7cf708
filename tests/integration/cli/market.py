"""A market that takes files over real gRPC, and answers as it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import grpc

from libs.errors import AppError, to_status
from pq.market.v1 import imports_pb2 as pb
from pq.market.v1 import imports_pb2_grpc


@dataclass
class TakenFile:
    """A file as it came."""

    header: pb.ImportHeader
    data: bytes
    chunks: int
    intact: bool
    authorization: str


@dataclass
class FakeMarket(imports_pb2_grpc.ImportServiceServicer):
    """`decide(file, nth)` answers an Import, or raises AppError."""

    decide: Callable[[TakenFile, int], pb.Import]
    taken: list[TakenFile] = field(default_factory=list)
    target: str = ""

    async def ImportFile(self, requests: Any, context: Any) -> pb.Import:  # noqa: N802
        header, data, chunks, trailer = None, b"", 0, None
        async for request in requests:
            match request.WhichOneof("part"):
                case "header":
                    header = request.header
                case "chunk":
                    data, chunks = data + request.chunk, chunks + 1
                case "trailer":
                    trailer = request.trailer
        assert header is not None
        assert trailer is not None
        intact = (trailer.sha256, trailer.size) == (sha256(data).hexdigest(), len(data))
        bearer = dict(context.invocation_metadata()).get("authorization", "")
        file = TakenFile(header, data, chunks, intact, bearer)
        self.taken.append(file)
        try:
            return self.decide(file, len(self.taken))
        except AppError as error:
            details = ("grpc-status-details-bin", to_status(error).SerializeToString())
            context.set_trailing_metadata((details,))
            await context.abort(error.kind.grpc, error.message)
            raise AssertionError("abort raises") from None


@asynccontextmanager
async def serving(market: FakeMarket) -> AsyncIterator[FakeMarket]:
    """The market on a free port."""
    server = grpc.aio.server()
    imports_pb2_grpc.add_ImportServiceServicer_to_server(market, server)
    market.target = f"dns:///127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield market
    finally:
        await server.stop(None)
