"""Tasks that run as long as the process, and start again when they fail."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from libs.db import is_transient
from libs.obs import metrics
from libs.runtime.database import DatabaseAwayError
from libs.runtime.parts import Part

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
# Whoever ran this long has recovered: the next failure is a new one.
STEADY = 30.0
# Up this long after a start, a task counts as working again.
SETTLED = 2.0


class Background:
    """The background tasks of one process."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Callable[[], Awaitable[None]], part: Part) -> None:
        """Runs `work` until it returns, again after each failure, each time a little later."""
        task = asyncio.create_task(self._keep(name, work, part), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, timeout: float) -> None:
        """Cancels all, and gives them `timeout` seconds to clean up."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout)
            for task in late:
                log.warning("a background task did not end", extra={"task": task.get_name()})

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]], part: Part) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            settled = asyncio.get_running_loop().call_later(SETTLED, part.up)
            try:
                await work()
            except DatabaseAwayError as error:
                # No failure, and no reason to come later than the database does.
                part.down(str(error))
                await error.reached.wait()
                continue
            except Exception as error:  # noqa: BLE001 # whatever it is, the task starts again
                pause = FIRST_PAUSE if time.monotonic() - started > STEADY else pause
                _tell(name, error)
                part.down(f"{type(error).__name__}: {error}")
                metrics.BACKGROUND_RESTARTS.labels(name).inc()
            else:
                part.up("done")
                return
            finally:
                settled.cancel()
            await self._sleep(pause * random.uniform(0.5, 1))  # noqa: S311 # jitter
            pause = min(pause * 2, LONGEST_PAUSE)


def _tell(name: str, error: Exception) -> None:
    if is_transient(error):
        log.warning(
            "a background task failed and starts again",
            extra={"task": name, "error.type": type(error).__name__, "error": str(error)},
        )
    else:
        log.error("a background task failed and starts again", exc_info=error, extra={"task": name})
