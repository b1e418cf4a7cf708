"""Starts the pipeline's process when a run waits, and counts what it says."""

from __future__ import annotations

from libs.obs.metrics import PIPELINE_DURATION, PIPELINE_RUNS, PIPELINE_SUCCESS
from services.market.domain.pipeline import WINDOW
from services.market.handlers.companion import Companion
from services.market.store import pipeline


class PipelineProcess(Companion):
    """The pipeline's."""

    module = "services.market.pipeline"

    async def waits(self) -> bool:
        """Whether a run waits."""
        return await pipeline.waits(self._db, self._clock.now())

    async def heard(self, words: list[str]) -> None:
        """A run's outcome, and its seconds."""
        outcome, seconds = words
        PIPELINE_RUNS.labels(outcome).inc()
        if outcome == "succeeded":
            PIPELINE_DURATION.observe(float(seconds))
        for status in await pipeline.statuses(self._db, WINDOW):
            share = status["published_days"] / max(status["quoted_days"], 1)
            PIPELINE_SUCCESS.labels(status["name"]).set(share)
