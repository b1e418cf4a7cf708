"""One supervised process: started, watched, started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
# Whoever lived this long has recovered: the next end is a new one.
STEADY = 20.0
LOG_LIMIT = 20 * 1024 * 1024


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
            self._process = await self._spawn()
            self._changed()
            status = await self._process.wait()
            if self._stopping.is_set():
                return
            pause = backoff.after(time.monotonic() - began)
            self._tell(f"{self.program.name} {ending(status)}; starting it again in {pause:.1f} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def stop(self, grace: float) -> None:
        """Asks the program to end, and ends it after `grace` seconds."""
        self._stopping.set()
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

    async def _spawn(self) -> asyncio.subprocess.Process:
        launch = str(Path(__file__).with_name("launch.py"))
        _rotate(self.program.log)
        with self.program.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", launch, "--on-parent-death", "SIGTERM", "--"),
                *self.program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.program.environment),
                start_new_session=True,  # a Ctrl-C is for the supervisor, which stops in order
            )


class Echo:
    """Repeats a child's warnings and errors, a short line each."""

    def __init__(self, name: str, log: Path, tell: Callable[[str], None]) -> None:
        self._name = name
        self._log = log
        self._tell = tell
        self._at = log.stat().st_size if log.exists() else 0

    def look(self) -> None:
        """Repeats what was written since the last look."""
        try:
            size = self._log.stat().st_size
            if size < self._at:  # rotated
                self._at = 0
            if size == self._at:
                return
            with self._log.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return
        whole = data.rfind(b"\n") + 1
        self._at += whole
        for line in data[:whole].splitlines():
            if told := readable(line):
                self._tell(f"{self._name}: {told}")


def readable(line: bytes) -> str:
    """A log line for people, where it is a warning or worse; empty where it is not."""
    import orjson

    try:
        entry = orjson.loads(line)
        if entry["SeverityNumber"] < 13:
            return ""
        attributes = entry.get("Attributes") or {}
        error = attributes.get("error") or attributes.get("exception.message") or ""
        return f"{entry['SeverityText']} {entry['Body']}" + (f" ({error})" if error else "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        # Of a traceback, the last line says what was wrong.
        text = line.decode(errors="replace").rstrip()
        return "" if text.startswith((" ", "Traceback")) else text


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _rotate(log: Path) -> None:
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        os.replace(log, log.with_suffix(".1.jsonl"))  # noqa: PTH105 # one step, over the older one
