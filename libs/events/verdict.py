"""What a failure of a handler means: the decision is in what was raised."""

from __future__ import annotations

from enum import Enum

from libs.db import is_transient
from libs.errors import CLIENT_KINDS, AppError, Kind
from libs.events.log import LogUnavailableError
from libs.events.store import PositionMovedError


class Poison(Exception):  # noqa: N818 # the field's own word
    """Raised by a handler for a message that can never be handled: it becomes a dead letter."""


class Verdict(Enum):
    """What becomes of the batch."""

    RETRY = "retry"  # it passes: again, after a while
    MOVED = "moved"  # somebody else did it: read the position again
    DEAD = "dead"  # never: a dead letter
    HALT = "halt"  # nobody foresaw it: a person must look


# Of the caller's kinds, those that a later attempt may not meet.
_PASSING = {Kind.RATE_LIMITED, Kind.ABORTED, Kind.CANCELLED, Kind.UNAVAILABLE, Kind.DEADLINE}


def verdict(error: Exception) -> Verdict:
    """What to do about `error`."""
    if isinstance(error, PositionMovedError):
        return Verdict.MOVED
    if isinstance(error, Poison):
        return Verdict.DEAD
    if isinstance(error, AppError):
        if error.kind in _PASSING:
            return Verdict.RETRY
        return Verdict.DEAD if error.kind in CLIENT_KINDS else Verdict.HALT
    if is_transient(error) or isinstance(error, LogUnavailableError):
        return Verdict.RETRY
    return Verdict.HALT


def describe(error: BaseException) -> str:
    """The error in one line for operators; no NUL, for PostgreSQL keeps none."""
    return f"{type(error).__name__}: {error}".replace("\0", "�")[:1_500]
