"""The pipeline's own process: it makes the runs that wait, and ends when none has for a while.

    python -m services.market.pipeline

The market starts it when a run waits. Matrices of a year, the compiler and seconds of computing are
not what a process should hold or do that answers requests. It ends with whoever started it, whose
end it sees by its standard input; a run it was at is rolled back.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from libs.clock import SystemClock
from libs.config import load
from libs.db import Database, is_transient
from libs.events.catalog import Catalog
from libs.events.outbox import Outbox
from libs.ids import Ids
from libs.obs import logs
from services.market.analytics.warm import warm
from services.market.config import PipelineConfig
from services.market.handlers.pipeline.runner import Runner
from services.market.handlers.steps import steps
from services.market.store.panels import Panels

_POLL = 0.5
# The version in logs is the market's own business; it starts this process.
_SERVICE = "market-pipeline"


async def work(config: PipelineConfig) -> None:
    """Makes runs until none has waited for the configured time."""
    clock = SystemClock()
    outbox = Outbox(Catalog.load(), "/pq/market", Ids(clock), clock)
    db = await Database.connect(
        config.database_url, application="pq-market-pipeline", max_size=3, outbox=outbox
    )
    try:
        await asyncio.to_thread(warm)
        runner = Runner(db, clock, Panels(db), steps())
        last = time.monotonic()
        while time.monotonic() < last + config.idle:
            if await runner.run_once(tell=_tell):
                last = time.monotonic()
            else:
                await asyncio.sleep(_POLL)
    finally:
        await db.close()


def _tell(outcome: str, seconds: float) -> None:
    print(outcome, f"{seconds:.3f}", flush=True)


async def _until_alone() -> None:
    """Returns when whoever started this process is gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def main() -> int:
    """Answers the exit status."""
    config = load(PipelineConfig, os.environ)
    logs.configure(_SERVICE, "", level=config.log_level, form=config.log_format)
    working = asyncio.create_task(work(config))
    alone = asyncio.create_task(_until_alone())
    await asyncio.wait({working, alone}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        # Threads that compute would hold the process; what they do is rolled back anyhow.
        os._exit(0)
    alone.cancel()
    error = working.exception()
    if error is None:
        return 0
    if is_transient(error):
        print("away", "0", flush=True)
        return 0
    raise error


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
