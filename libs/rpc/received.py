"""What a peer answered, as the error that was raised there.

Apart from `failures`, so that a client need not load the database's library.
"""

from __future__ import annotations

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from libs.errors import AppError, Kind, from_status

DETAILS = "grpc-status-details-bin"


def received(error: grpc.aio.AioRpcError) -> AppError:
    """What a peer told us, as it was raised there."""
    for name, value in error.trailing_metadata() or ():
        if name == DETAILS and isinstance(value, bytes):
            told = _parse(value)
            if told is not None:
                return told
    code = error.code()
    kind = next((kind for kind in Kind if kind.grpc is code), Kind.INTERNAL)
    reason = code.name.lower() if kind.grpc is code else "unknown"
    return AppError(kind, reason, error.details() or code.name)


def _parse(value: bytes) -> AppError | None:
    try:
        return from_status(status_pb2.Status.FromString(value))
    except DecodeError:
        return None
