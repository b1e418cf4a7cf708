"""How a process of the market's own runs: with whoever started it, and no longer."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from libs.clock import SystemClock
from libs.config import load
from libs.db import Database, is_transient
from libs.events.catalog import Catalog
from libs.events.outbox import Outbox
from libs.ids import Ids
from libs.obs import logs
from services.market.config import PipelineConfig

Work = Callable[[Database, PipelineConfig], Awaitable[None]]


def tell(outcome: str, seconds: float) -> None:
    """Says what something came to, to whoever started this process."""
    print(outcome, f"{seconds:.3f}", flush=True)


def run(name: str, work: Work) -> None:
    """Works until `work` returns, or until whoever started this process is gone."""
    sys.exit(asyncio.run(_main(name, work)))


async def _main(name: str, work: Work) -> int:
    config = load(PipelineConfig, os.environ)
    # The version in logs is the market's own business; it starts this process.
    logs.configure(name, "", level=config.log_level, form=config.log_format)
    working = asyncio.create_task(_work(name, work, config))
    alone = asyncio.create_task(_until_alone())
    await asyncio.wait({working, alone}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        # Threads that compute would hold the process; what they do is done again.
        os._exit(0)
    alone.cancel()
    error = working.exception()
    if error is None:
        return 0
    if is_transient(error):
        tell("away", 0)
        return 0
    raise error


async def _work(name: str, work: Work, config: PipelineConfig) -> None:
    clock = SystemClock()
    outbox = Outbox(Catalog.load(), "/pq/market", Ids(clock), clock)
    db = await Database.connect(
        config.database_url, application=f"pq-{name}", max_size=3, outbox=outbox
    )
    try:
        await work(db, config)
    finally:
        await db.close()


async def _until_alone() -> None:
    """Returns when whoever started this process is gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
