"""What a handler's failure means."""

from __future__ import annotations

import asyncpg
import pytest
from asyncpg.exceptions._base import InternalClientError

from libs.errors import AppError, Kind, invalid, not_found
from libs.events.log import FencedError, LogUnavailableError
from libs.events.store import PositionMovedError
from libs.events.verdict import Poison, Verdict, describe, verdict


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (Poison("never"), Verdict.DEAD),
        (invalid("price", "negative"), Verdict.DEAD),
        (not_found("cards/x"), Verdict.DEAD),
        (AppError(Kind.PRECONDITION, "no", "no"), Verdict.DEAD),
        (AppError(Kind.RATE_LIMITED, "slow", "slow"), Verdict.RETRY),
        (AppError(Kind.ABORTED, "etag", "etag"), Verdict.RETRY),
        (AppError(Kind.UNAVAILABLE, "away", "away"), Verdict.RETRY),
        (AppError(Kind.INTERNAL, "bug", "bug"), Verdict.HALT),
        (asyncpg.DeadlockDetectedError("x"), Verdict.RETRY),
        (asyncpg.CannotConnectNowError("starting up"), Verdict.RETRY),
        (InternalClientError("postmaster killed"), Verdict.RETRY),
        (ConnectionResetError(), Verdict.RETRY),
        (LogUnavailableError("away"), Verdict.RETRY),
        (PositionMovedError("x"), Verdict.MOVED),
        (asyncpg.UniqueViolationError("x"), Verdict.HALT),
        (FencedError("x"), Verdict.HALT),
        (KeyError("a bug"), Verdict.HALT),
    ],
)
def test_each_failure_has_its_verdict(error: Exception, what: Verdict) -> None:
    """Dead letter, retry, read the position again, or stand still."""
    assert verdict(error) is what


def test_a_description_can_be_stored() -> None:
    """PostgreSQL has no NUL in text, and nobody reads a megabyte."""
    told = describe(ValueError("a\0b" + "x" * 10_000))
    assert told.startswith("ValueError: a")
    assert "\0" not in told
    assert len(told) <= 1_500
