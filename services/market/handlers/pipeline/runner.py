"""Runs what waits: each run is one transaction, so that readers see all of a version or nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from libs.clock import Clock
from libs.db import Database, Tx, is_transient
from pq.market.v1 import market_events_pb2
from services.market import messages
from services.market.domain.pipeline import (
    DayVersion,
    Run,
    StepRecord,
    is_kept,
    retry_after,
)
from services.market.handlers.pipeline.step import Step
from services.market.store import pipeline, snapshots
from services.market.store.panels import Panels

log = logging.getLogger(__name__)

# A source that is still getting files is left alone for so long: more are likely to come.
QUIET = timedelta(seconds=0.5)

Tell = Callable[[str, float], None]


class Runner:
    """The pipeline of one process. Others may run beside it: one at a time works on a source."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        panels: Panels,
        steps: Sequence[Step],
        quiet: timedelta = QUIET,
    ) -> None:
        self._db = db
        self._clock = clock
        self._panels = panels
        self._steps = steps
        self._quiet = quiet

    async def run_once(self, tell: Tell = lambda _outcome, _seconds: None) -> bool:
        """Makes one run; answers whether there was one. `tell` hears what it came to: succeeded or
        failed, and after how many seconds."""
        begun = time.monotonic()
        busy: list[int] = []
        while True:
            taken: Run | None = None
            try:
                async with self._db.transaction() as tx:
                    found = await pipeline.take(tx, self._clock.now(), self._quiet, busy)
                    if found is None:
                        return False
                    taken, newest = found
                    if not await pipeline.lock_source(tx, taken.of.source_number):
                        busy.append(taken.of.source_number)
                        continue
                    if not is_kept(taken.of.day, newest):
                        await pipeline.skip_old(tx, taken.of.source_number, newest)
                        return True
                    await self._publish(tx, taken)
                tell("succeeded", time.monotonic() - begun)
            except Exception as error:
                if taken is None or is_transient(error):
                    raise
                log.exception("a run of the pipeline failed", extra={"day": str(taken.of.day)})
                await self._failed(taken, error)
                tell("failed", time.monotonic() - begun)
            return True

    async def _publish(self, tx: Tx, run: Run) -> None:
        count = await pipeline.data_version(tx, run.of.source_number, run.of.day)
        day = replace(run.of, data_version=count)
        steps = [await self._step(tx, step, day) for step in self._steps]
        await pipeline.succeed(tx, run, day, steps, self._clock.now())
        snapshot = await snapshots.get(tx, day.source, day.day, day.version)
        assert snapshot is not None  # a run's version is never deleted
        tx.publish(
            market_events_pb2.SnapshotPublished(
                market="all", snapshot=messages.snapshot(snapshot), analytics=True
            )
        )

    async def _step(self, tx: Tx, step: Step, day: DayVersion) -> StepRecord:
        begun = time.monotonic()
        counts = await step(tx, day, self._panels)
        return StepRecord(step.name, step.code_version, time.monotonic() - begun, dict(counts))

    async def _failed(self, run: Run, error: Exception) -> None:
        told = f"{type(error).__name__}: {error}"
        async with self._db.transaction() as tx:
            retry = retry_after(run.attempts + 1)
            await pipeline.fail(tx, run.id, told, self._clock.now(), retry)
