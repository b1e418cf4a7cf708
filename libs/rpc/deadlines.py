"""How long a call may take, carried on to the calls made on its behalf."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass

# Of the monotonic clock; None outside of any call.
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: what a call gets that names no deadline, and what it gets at most."""

    default: float = 15
    maximum: float = 120


UNARY = Limits()
# A file of prices comes in one call; a feed ends when its connection is told to move on.
STREAM = Limits(default=900, maximum=3600)


def remaining() -> float | None:
    """Seconds until the call under way must be answered; None outside of any."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - time.monotonic()


def set_remaining(seconds: float) -> None:
    """Sets the deadline for the rest of this task."""
    _deadline.set(time.monotonic() + seconds)


def budget(asked: float | None, limits: Limits) -> float:
    """Seconds for a call that we make: what was asked for, or the default, within what is left."""
    seconds = limits.default if asked is None else asked
    left = remaining()
    return seconds if left is None else min(seconds, left)
