"""Runs what waits: each run is one transaction, so that readers see all of a version or nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from libs.clock import Clock
from libs.db import Database, Tx, is_transient
from libs.obs.metrics import PIPELINE_DURATION, PIPELINE_RUNS, PIPELINE_SUCCESS
from pq.market.v1 import market_events_pb2
from services.market import messages
from services.market.domain.pipeline import (
    WINDOW,
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
POLL = 2.0


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
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Has the runs looked at soon."""
        self._wake.set()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            self._wake.clear()
            done = 0
            try:
                while await self.run_once():
                    done += 1
                if done:
                    await self._measure()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("the pipeline waits for the database", extra={"error": repr(error)})
            try:
                async with asyncio.timeout(POLL):
                    await self._wake.wait()
                    await asyncio.sleep(self._quiet.total_seconds())
            except TimeoutError:
                pass

    async def run_once(self) -> bool:
        """Makes one run; answers whether there was one."""
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
            except Exception as error:
                if taken is None or is_transient(error):
                    raise
                log.exception("a run of the pipeline failed", extra={"day": str(taken.of.day)})
                await self._failed(taken, error)
            return True

    async def _publish(self, tx: Tx, run: Run) -> None:
        begun = time.monotonic()
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

        def committed() -> None:
            PIPELINE_RUNS.labels("succeeded").inc()
            PIPELINE_DURATION.observe(time.monotonic() - begun)

        tx.after_commit(committed)

    async def _step(self, tx: Tx, step: Step, day: DayVersion) -> StepRecord:
        begun = time.monotonic()
        counts = await step(tx, day, self._panels)
        return StepRecord(step.name, step.code_version, time.monotonic() - begun, dict(counts))

    async def _failed(self, run: Run, error: Exception) -> None:
        PIPELINE_RUNS.labels("failed").inc()
        told = f"{type(error).__name__}: {error}"
        async with self._db.transaction() as tx:
            retry = retry_after(run.attempts + 1)
            await pipeline.fail(tx, run.id, told, self._clock.now(), retry)

    async def _measure(self) -> None:
        for status in await pipeline.statuses(self._db, WINDOW):
            share = status["published_days"] / max(status["quoted_days"], 1)
            PIPELINE_SUCCESS.labels(status["name"]).set(share)
