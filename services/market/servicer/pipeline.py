"""pq.market.v1.PipelineService."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.duration_pb2 import Duration

from libs.api import filters
from libs.api.paging import PageTokens
from libs.api.wire import resource_id, resource_name, stamp
from libs.clock import Clock
from libs.db import Database
from libs.errors import invalid, not_found
from pq.market.v1 import market_pb2, pipeline_pb2_grpc
from pq.market.v1 import pipeline_pb2 as pb
from services.market import messages
from services.market.domain.pipeline import WINDOW, Run, StepRecord
from services.market.store import pipeline

PREFIX = "run"


def run_name(id: UUID) -> str:
    """The resource name of a run."""
    return resource_name("pipelineRuns", PREFIX, id)


class PipelineServicer(pipeline_pb2_grpc.PipelineServiceServicer):
    """Runs, for operators. `wake` has what waits looked at soon."""

    def __init__(
        self, db: Database, tokens: PageTokens, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._clock = clock
        self._wake = wake

    async def ListPipelineRuns(
        self, request: pb.ListPipelineRunsRequest, _context: Any
    ) -> pb.ListPipelineRunsResponse:
        """A page of runs."""
        where = filters.parse(request.filter, pipeline.FILTERS, first=4)
        page = self._tokens.page(
            method="ListPipelineRuns",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(request.filter,),
        )
        after = None
        if page.cursor is not None:
            after = (date.fromisoformat(str(page.cursor[0])), UUID(str(page.cursor[1])))
        found = await pipeline.page(self._db, where, after, page.size + 1)
        shown, token = self._tokens.cut(
            page, found, lambda last: [last.of.day.isoformat(), str(last.id)]
        )
        return pb.ListPipelineRunsResponse(
            pipeline_runs=[_run(one, steps=False) for one in shown], next_page_token=token
        )

    async def GetPipelineRun(
        self, request: pb.GetPipelineRunRequest, _context: Any
    ) -> pb.PipelineRun:
        """One run."""
        return await self._shown(resource_id("pipelineRuns", PREFIX, request.name), request.name)

    async def RetryPipelineRun(
        self, request: pb.RetryPipelineRunRequest, _context: Any
    ) -> pb.PipelineRun:
        """Has a run made once more."""
        id = resource_id("pipelineRuns", PREFIX, request.name)
        async with self._db.transaction() as tx:
            if not await pipeline.again(tx, id, self._clock.now()):
                raise not_found(request.name)
            tx.after_commit(self._wake)
        return await self._shown(id, request.name)

    async def GetPipelineStatus(
        self, request: pb.GetPipelineStatusRequest, _context: Any
    ) -> pb.PipelineStatus:
        """How it has done."""
        if request.name != "pipelineStatus":
            raise invalid("name", f"expected pipelineStatus; got {request.name[:60]!r}")
        sources = []
        for one in await pipeline.statuses(self._db, WINDOW):
            failed = await pipeline.get(self._db, one["failed"]) if one["failed"] else None
            sources.append(
                pb.SourceStatus(
                    source=one["name"],
                    newest_day=one["newest"].isoformat(),
                    published_day=one["published"].isoformat() if one["published"] else "",
                    published_days=one["published_days"],
                    quoted_days=one["quoted_days"],
                    waiting_count=one["waiting"],
                    last_failure=None if failed is None else _run(failed),
                )
            )
        return pb.PipelineStatus(name="pipelineStatus", sources=sources)

    async def _shown(self, id: UUID, name: str) -> pb.PipelineRun:
        found = await pipeline.get(self._db, id)
        if found is None:
            raise not_found(name)
        return _run(found)


def _run(run: Run, *, steps: bool = True) -> pb.PipelineRun:
    return pb.PipelineRun(
        name=run_name(run.id),
        snapshot=messages.snapshot_name(run.of.source, run.of.day, run.of.version),
        source=run.of.source,
        day=run.of.day.isoformat(),
        mode=market_pb2.Mode.ValueType(run.of.mode),
        state=pb.PipelineRun.State.ValueType(run.state),
        create_time=stamp(run.create_time),
        end_time=stamp(run.end_time),
        next_time=stamp(run.next_time),
        attempt_count=run.attempts,
        error=run.error,
        data_version=run.of.data_version,
        steps=map(_step, run.steps) if steps else [],
    )


def _step(step: StepRecord) -> pb.PipelineStep:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=step.seconds))
    return pb.PipelineStep(
        step=step.step,
        code_version=step.code_version,
        duration=duration,
        counts=[pb.PipelineCount(counted=name, count=count) for name, count in step.counts.items()],
    )
