"""Ending processes that are not our children."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from signal import Signals

import psutil


def lives(process: psutil.Process) -> bool:
    """Whether it still holds anything: one that ended and was not reaped does not.

    Where process 1 does not reap, as in some containers, such ones stay for ever.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(processes: Sequence[psutil.Process], numbers: Sequence[Signals], patience: float) -> None:
    """Sends the signals one after another, each with `patience` seconds, until all have ended."""
    for number in numbers:
        alive = [process for process in processes if lives(process)]
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        ends = time.monotonic() + patience
        while any(map(lives, alive)) and time.monotonic() < ends:
            time.sleep(0.02)
