"""Runs of the pipeline: which days are worth one, when a failed one is tried again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import IntEnum
from uuid import UUID

from services.market.domain.imports import Mode

# Analytics are kept of so many days up to a source's newest, and of the last days of months.
KEPT_DAYS = 90
# Seconds until the next attempt; after the last the run has failed.
RETRIES = (10.0, 60.0, 300.0, 1800.0, 7200.0)
WINDOW = 30


class RunState(IntEnum):
    """The contract's numbers."""

    WAITING = 1
    SUCCEEDED = 2
    FAILED = 3
    SKIPPED = 4


@dataclass(frozen=True, slots=True)
class DayVersion:
    """What a run is of; `data_version` counts the source's versions of days up to it."""

    source: str
    source_number: int
    currency: str
    day: date
    version: int
    mode: Mode
    data_version: int = 0


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step that was done: by which code, in how many seconds, and what it counted."""

    step: str
    code_version: str
    seconds: float
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is stored."""

    id: UUID
    of: DayVersion
    state: RunState
    create_time: datetime
    end_time: datetime | None = None
    next_time: datetime | None = None
    attempts: int = 0
    error: str = ""
    steps: tuple[StepRecord, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Published:
    """A version of a day that is published with its signals."""

    of: DayVersion
    run: UUID
    code_version: str
    publish_time: datetime


def is_kept(day: date, newest: date) -> bool:
    """Whether a day's analytics are kept while `newest` is its source's newest day."""
    return newest - day < timedelta(days=KEPT_DAYS) or (day + timedelta(days=1)).day == 1


def retry_after(attempts: int) -> float | None:
    """Seconds until the next attempt after so many; None for no other."""
    return RETRIES[attempts - 1] if attempts <= len(RETRIES) else None
