"""The pipeline's own process: it makes the runs that wait, closes the months that are due, and ends
when there has been neither for a while.

    python -m services.market.pipeline

The market starts it when there is something to do. Matrices of a year, the compiler and seconds of
computing are not what a process should hold or do that answers requests. It ends with whoever
started it, whose end it sees by its standard input; what it was at is rolled back.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from libs.clock import SystemClock
from libs.db import Database
from services.market import working
from services.market.analytics.warm import warm
from services.market.config import PipelineConfig
from services.market.handlers.closing import Closing, Rule
from services.market.handlers.pipeline.runner import Runner
from services.market.handlers.steps import steps
from services.market.store.panels import Panels

_POLL = 0.5


async def work(db: Database, config: PipelineConfig) -> None:
    """Makes runs and closes months until neither has waited for the configured time."""
    await asyncio.to_thread(warm)
    panels = Panels(db)
    runner = Runner(db, SystemClock(), panels, steps())
    closing = Closing(db, SystemClock(), Rule(config.open_months, timedelta(seconds=config.quiet)))
    last = time.monotonic()
    while time.monotonic() < last + config.idle:
        if await runner.run_once(tell=working.tell) or await _close(closing, panels):
            last = time.monotonic()
        else:
            await asyncio.sleep(_POLL)


async def _close(closing: Closing, panels: Panels) -> bool:
    begun = time.monotonic()
    if await closing.due() is None:
        return False
    panels.forget()  # a month takes as much memory while it is packed
    if await closing() is None:
        return False
    working.tell("closed", time.monotonic() - begun)
    return True


if __name__ == "__main__":
    working.run("market-pipeline", work)
