"""Starts the pipeline's process when there is something for it to do, and counts what it says."""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.clock import Clock
from libs.db import Database
from libs.obs.metrics import MONTHS_CLOSED, PIPELINE_DURATION, PIPELINE_RUNS, PIPELINE_SUCCESS
from services.market.domain.pipeline import WINDOW
from services.market.handlers.closing import Closing
from services.market.handlers.companion import Companion
from services.market.store import pipeline

_LOOK_FOR_MONTHS = timedelta(seconds=10)


class PipelineProcess(Companion):
    """The pipeline's."""

    module = "services.market.pipeline"

    def __init__(self, db: Database, clock: Clock, closing: Closing) -> None:
        super().__init__(db, clock)
        self._closing = closing
        self._looked: datetime | None = None

    async def waits(self) -> bool:
        """Whether a run waits, or, looked at now and then, a month to be closed."""
        now = self._clock.now()
        if await pipeline.waits(self._db, now):
            return True
        if self._looked is not None and now < self._looked + _LOOK_FOR_MONTHS:
            return False
        self._looked = now
        return await self._closing.due() is not None

    async def heard(self, words: list[str]) -> None:
        """A run's outcome, or that a month was closed; and the seconds it took."""
        outcome, seconds = words
        if outcome == "closed":
            MONTHS_CLOSED.inc()
            return
        PIPELINE_RUNS.labels(outcome).inc()
        if outcome == "succeeded":
            PIPELINE_DURATION.observe(float(seconds))
        for status in await pipeline.statuses(self._db, WINDOW):
            share = status["published_days"] / max(status["quoted_days"], 1)
            PIPELINE_SUCCESS.labels(status["name"]).set(share)
