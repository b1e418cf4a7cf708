"""Starts the pipeline's process when a run waits, and counts what it says."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress

from libs.clock import Clock
from libs.db import Database, is_transient
from libs.obs.metrics import PIPELINE_DURATION, PIPELINE_RUNS, PIPELINE_SUCCESS
from services.market.domain.pipeline import WINDOW
from services.market.store import pipeline

log = logging.getLogger(__name__)

POLL = 1.0
_MODULE = "services.market.pipeline"
_PAUSE = 5.0


class PipelineProcess:
    """Watches over one process at a time; it ends with this one."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Has it looked soon whether a run waits."""
        self._wake.set()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            self._wake.clear()
            try:
                if await pipeline.waits(self._db, self._clock.now()):
                    await self._make_runs()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("the pipeline waits for the database", extra={"error": repr(error)})
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wake.wait()

    async def _make_runs(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", _MODULE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                await self._count(line.decode().split())
            status = await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()  # nothing if it has ended; else its run is rolled back
            await process.wait()
        if status:
            log.error("the pipeline's process failed", extra={"status": status})
            await asyncio.sleep(_PAUSE)

    async def _count(self, words: list[str]) -> None:
        outcome, seconds = words
        PIPELINE_RUNS.labels(outcome).inc()
        if outcome == "succeeded":
            PIPELINE_DURATION.observe(float(seconds))
        for status in await pipeline.statuses(self._db, WINDOW):
            share = status["published_days"] / max(status["quoted_days"], 1)
            PIPELINE_SUCCESS.labels(status["name"]).set(share)
