"""pq.market.v1.DashboardService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from google.api.httpbody_pb2 import HttpBody

from libs.api import filters
from libs.db import Database
from libs.errors import invalid
from pq.market.v1 import dashboard_pb2 as pb
from pq.market.v1 import dashboard_pb2_grpc
from services.market import messages
from services.market.domain.pipeline import Published
from services.market.handlers.publications import Publications
from services.market.servicer.analytics import basis, mover_pb
from services.market.servicer.indices import index_pb
from services.market.store import anomalies, indices, movers, published

_SHOWN = 5
_WINDOW = 7
_GAIN, _LOSS, _MOVES = 1, 2, 5
_EVENT_STREAM = "text/event-stream"
# Below the deadline of streams; proxies cut silent connections after a minute.
_STREAM_SECONDS, _HEARTBEAT = 240.0, 15.0


class DashboardServicer(dashboard_pb2_grpc.DashboardServiceServicer):
    """The newest published day at a glance."""

    def __init__(self, db: Database, publications: Publications) -> None:
        self._db = db
        self._publications = publications

    async def GetDashboard(self, request: pb.GetDashboardRequest, _context: Any) -> pb.Dashboard:
        """All of it."""
        if request.name != "dashboard":
            raise invalid("name", f"expected dashboard; got {request.name[:60]!r}", "wrong_name")
        of = await published.newest(self._db)
        if of is None:
            return pb.Dashboard(name="dashboard")
        gainers, losers, requoted = [await self._movers(of, n) for n in (_GAIN, _LOSS, _MOVES)]
        often = filters.parse("kind = KIND_REPRICED", anomalies.FILTERS, first=4)
        return pb.Dashboard(
            name="dashboard",
            basis=basis(of),
            indices=map(index_pb, await indices.broad(self._db, of.of.source_number)),
            gainers=map(mover_pb, gainers),
            losers=map(mover_pb, losers),
            most_requoted=map(mover_pb, requoted),
            anomalies=map(messages.anomaly, await anomalies.page(self._db, often, None, _SHOWN)),
        )

    async def WatchPublications(
        self, _request: pb.WatchPublicationsRequest, _context: Any
    ) -> AsyncIterator[HttpBody]:
        """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
        yield HttpBody(content_type=_EVENT_STREAM, data=b"retry: 2000\n\n")
        async for one in self._publications.listen(_STREAM_SECONDS, _HEARTBEAT):
            data = b":\n\n" if one is None else _event(one)
            yield HttpBody(content_type=_EVENT_STREAM, data=data)

    async def _movers(self, of: Published, ordering: int) -> list[movers.Mover]:
        return await movers.page(
            self._db, of.of, _WINDOW, ordering, thin=False, after=0, limit=_SHOWN
        )


def _event(one: Published) -> bytes:
    told = {
        "snapshot": messages.snapshot_name(one.of.source, one.of.day, one.of.version),
        "source": one.of.source,
        "day": one.of.day.isoformat(),
        "dataVersion": str(one.of.data_version),
        "publishTime": one.publish_time.isoformat().replace("+00:00", "Z"),
    }
    id = f"{one.of.source}-{one.of.data_version}".encode()
    return b"event: published\nid: " + id + b"\ndata: " + orjson.dumps(told) + b"\n\n"
