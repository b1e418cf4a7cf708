"""Processes of the market's own: started when something waits for them, gone with this one."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress

from libs.clock import Clock
from libs.db import Database, is_transient

log = logging.getLogger(__name__)

POLL = 1.0
_PAUSE = 5.0
# Matrices go back to the system as soon as they are let go of: glibc would keep what is smaller
# than the largest that was freed, in a heap for each thread. At 58,000 cards × 365 days it is
# 150 MB less.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_ARENA_MAX": "2"}


class Companion:
    """Watches over one process at a time. Subclasses say which, when, and what of its words."""

    module = ""
    poll = POLL

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._wake = asyncio.Event()

    async def waits(self) -> bool:
        """Whether there is something for the process to do."""
        raise NotImplementedError

    async def heard(self, words: list[str]) -> None:
        """Takes a line of what the process says."""
        raise NotImplementedError

    def wake(self) -> None:
        """Has it looked soon whether something waits."""
        self._wake.set()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            self._wake.clear()
            try:
                if await self.waits():
                    await self._accompany()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("work waits for the database", extra={"error": repr(error)})
            with suppress(TimeoutError):
                async with asyncio.timeout(self.poll):
                    await self._wake.wait()

    async def _accompany(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", self.module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **_MALLOC},
        )
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                await self.heard(line.decode().split())
            status = await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()  # nothing if it has ended; else what it is at is done again
            await process.wait()
        if status:
            log.error("a process failed", extra={"of": self.module, "status": status})
            await asyncio.sleep(_PAUSE)
