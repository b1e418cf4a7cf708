"""What a peer answered, as the error that was raised there.

Apart from `failures`, so that a client need not load the database's library.
"""

from __future__ import annotations

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from libs.errors import AppError, Kind, from_status

DETAILS = "grpc-status-details-bin"


# What gRPC says by itself names addresses, and may reach strangers through us; the cause keeps it
# for logs. A call that the peer cut, for its grace was over, may be made again.
_BY_ITSELF = {
    grpc.StatusCode.UNAVAILABLE: (Kind.UNAVAILABLE, "unavailable", "a service is away; try again"),
    grpc.StatusCode.CANCELLED: (Kind.UNAVAILABLE, "cancelled", "a service cut the call; try again"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Kind.DEADLINE, "deadline_exceeded", "this took too long"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Kind.TOO_LARGE, "too_large", "a message was too large"),
    grpc.StatusCode.UNIMPLEMENTED: (Kind.UNIMPLEMENTED, "unimplemented", "there is no such RPC"),
}
_UNKNOWN = (Kind.INTERNAL, "internal", "a call to another service failed")


def received(error: grpc.aio.AioRpcError) -> AppError:
    """What a peer told us, as it was raised there; what gRPC itself says, in our words."""
    for name, value in error.trailing_metadata() or ():
        if name == DETAILS and isinstance(value, bytes):
            told = _parse(value)
            if told is not None:
                return told
    return AppError(*_BY_ITSELF.get(error.code(), _UNKNOWN))


def _parse(value: bytes) -> AppError | None:
    try:
        return from_status(status_pb2.Status.FromString(value))
    except DecodeError:
        return None
