"""The process of factor reports and backtests: it makes those that wait, and ends.

    python -m services.market.studies

It computes for minutes and is in no hurry: whatever else the machine does comes first.
"""

from __future__ import annotations

import asyncio
import os

from libs.clock import SystemClock
from libs.db import Database
from services.market import working
from services.market.analytics.warm import warm
from services.market.config import PipelineConfig
from services.market.handlers.studies import Studies
from services.market.store.panels import Panels

_NICE = 10


async def work(db: Database, _config: PipelineConfig) -> None:
    """Makes studies until none waits."""
    os.nice(_NICE)
    await asyncio.to_thread(warm)
    studies = Studies(db, SystemClock(), Panels(db))
    while await studies.run_once(tell=working.tell):
        pass


if __name__ == "__main__":
    working.run("market-studies", work)
