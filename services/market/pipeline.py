"""The pipeline's own process: it makes the runs that wait, and ends when none has for a while.

    python -m services.market.pipeline

The market starts it when a run waits. Matrices of a year, the compiler and seconds of computing are
not what a process should hold or do that answers requests. It ends with whoever started it, whose
end it sees by its standard input; a run it was at is rolled back.
"""

from __future__ import annotations

import asyncio
import time

from libs.clock import SystemClock
from libs.db import Database
from services.market import working
from services.market.analytics.warm import warm
from services.market.config import PipelineConfig
from services.market.handlers.pipeline.runner import Runner
from services.market.handlers.steps import steps
from services.market.store.panels import Panels

_POLL = 0.5


async def work(db: Database, config: PipelineConfig) -> None:
    """Makes runs until none has waited for the configured time."""
    await asyncio.to_thread(warm)
    runner = Runner(db, SystemClock(), Panels(db), steps())
    last = time.monotonic()
    while time.monotonic() < last + config.idle:
        if await runner.run_once(tell=working.tell):
            last = time.monotonic()
        else:
            await asyncio.sleep(_POLL)


if __name__ == "__main__":
    working.run("market-pipeline", work)
