"""One supervised process: started, watched, started again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from libs.local.cluster import launcher

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
# Whoever lived this long has recovered: the next end is a new one.
STEADY = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and where its output goes."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path


class Backoff:
    """How long to wait before a start: doubling, until the program has lived a while."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE

    def after(self, lived: float) -> float:
        """Seconds to wait after a life of `lived` seconds."""
        if lived >= STEADY:
            self._pause = FIRST_PAUSE
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause


def ending(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


class Child:
    """Keeps one program running until told to stop."""

    def __init__(
        self, program: Program, tell: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self.program = program
        self._tell = tell
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        # Held while the program is being started, so that `stop` never misses one.
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    async def keep(self) -> None:
        """Runs the program, again whenever it ends, until `stop`."""
        backoff = Backoff()
        while not self._stopping.is_set():
            began = time.monotonic()
            end = await self._live()
            if self._stopping.is_set():
                return
            pause = backoff.after(time.monotonic() - began)
            self._tell(f"{self.program.name} {end}; starting it again in {pause:.1f} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def stop(self, grace: float) -> None:
        """Asks the program to end, and ends it after `grace` seconds."""
        self._stopping.set()
        async with self._starting:
            process = self._process
        if process is None or process.returncode is not None:
            return
        _send(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            self._tell(f"{self.program.name} did not end within {grace:.0f} s and was killed")
            _send(process, signal.SIGKILL)
            await process.wait()

    def kill(self) -> None:
        """Ends the program at once."""
        if self._process is not None and self._process.returncode is None:
            _send(self._process, signal.SIGKILL)

    async def _live(self) -> str:
        """One life of the program; how it ended, in words."""
        async with self._starting:
            if self._stopping.is_set():
                return "was not started"
            try:
                self._process = await self._spawn()
            except OSError as error:  # no memory, no descriptors, a full disk: these pass
                return f"could not be started ({error})"
        self._changed()
        return ending(await self._process.wait())

    async def _spawn(self) -> asyncio.subprocess.Process:
        self.program.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.program.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *launcher("same", "--on-parent-death", "SIGTERM"),
                *self.program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.program.environment),
                start_new_session=True,  # a Ctrl-C is for the supervisor, which stops in order
            )


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
