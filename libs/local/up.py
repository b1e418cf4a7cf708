"""`pq up`: the whole product in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from libs.local.home import Home, HomeError
from libs.local.layout import SECRET_FILES, SERVICES, Wiring
from libs.local.postgres import PostgresError
from libs.local.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Options:
    """What to run, and what to do around it.

    `mint_admin_token` makes the secret that local commands speak with. `on_ready` is called with
    the wiring once everything answers: it loads the demo market and prints what to try; it is
    cancelled when the product is stopped.
    """

    home: Path
    gateway_listen: str
    event_log: str
    mint_admin_token: Callable[[], str]
    on_ready: Callable[[Wiring], Awaitable[None]]


def up(options: Options) -> int:
    """Runs the product until SIGINT, SIGTERM or SIGHUP; the exit status: 0, or 1 after one line."""
    try:
        home = Home(options.home.absolute())
        lock = home.lock()
        try:
            home.prepare(list(SERVICES), SECRET_FILES)
            home.keep(home.admin_token, lambda: options.mint_admin_token().encode())
            return asyncio.run(_run(home, options))
        finally:
            os.close(lock)
    except (HomeError, PostgresError, OSError) as error:
        tell(str(error))
        return 1


def tell(line: str) -> None:
    """A line for the person at the terminal."""
    with contextlib.suppress(OSError):  # a terminal that was closed is no reason to end
        print(f"pq: {line}", file=sys.stderr, flush=True)


async def _run(home: Home, options: Options) -> int:
    supervisor = Supervisor(home, options.gateway_listen, options.event_log, tell)
    asked = asyncio.Event()

    def stop() -> None:
        if asked.is_set():
            supervisor.hurry()
        else:
            tell("stopping; once more hurries")
            asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup has SIGHUP ignored, and shall be obeyed.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
    work = asyncio.create_task(_work(supervisor, options))
    waiting = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            await waiting
    finally:
        work.cancel()
        waiting.cancel()
        await asyncio.gather(work, waiting, return_exceptions=True)
        await supervisor.stop()
    return 0


async def _work(supervisor: Supervisor, options: Options) -> None:
    wiring = await supervisor.start()
    await options.on_ready(wiring)
