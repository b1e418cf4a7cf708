"""pq.ops.v1.OpsService, which every service serves for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libs.api.wire import stamp
from libs.db import is_transient
from pq.ops.v1 import ops_pb2 as pb
from pq.ops.v1 import ops_pb2_grpc

if TYPE_CHECKING:
    from libs.runtime.runtime import Runtime


class OpsServicer(ops_pb2_grpc.OpsServiceServicer):
    """Tells how this process stands, and lets operators mend what waits for a person."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    async def GetStatus(self, _request: pb.GetStatusRequest, _context: Any) -> pb.ServiceStatus:
        """How this process stands. Answers without the database, too: it says that it is away."""
        rt = self._rt
        status = pb.ServiceStatus(
            service=rt.service, version=rt.version, start_time=stamp(rt.start_time)
        )
        for part in rt.parts.all():
            status.parts.add(name=part.name, ok=part.ok, detail=part.detail)
        for relay in rt.relays:
            try:
                found = await relay.status()
            except Exception as error:
                if not is_transient(error):
                    raise
                status.outbox.error = f"{type(error).__name__}: {error}"
                continue
            status.outbox.CopyFrom(
                pb.OutboxStatus(
                    waiting=found.waiting,
                    oldest_time=stamp(found.oldest_time),
                    relaying=found.relaying,
                    error=found.error,
                )
            )
        return status


def add_ops(rt: Runtime) -> None:
    """Registers it."""
    rt.servicer(ops_pb2_grpc.add_OpsServiceServicer_to_server, OpsServicer(rt))
