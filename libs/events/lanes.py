"""What a consumer knows of each partition it owns, and when it looks after them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from libs.events.record import Partition


@dataclass(frozen=True, slots=True)
class Options:
    """How patient a consumer is; times in seconds unless they say otherwise."""

    # So many dead letters of one partition within the window, and it halts.
    dead_letter_limit: int = 100
    dead_letter_window: timedelta = timedelta(hours=24)
    backoff_first: float = 0.1
    backoff_last: float = 30.0
    # Longer than any log keeps its records.
    inbox_retention: timedelta = timedelta(days=14)
    # How long a cancelled run waits for the batch that is under way.
    drain: float = 25.0
    poll: float = 1.0
    hint_every: float = 1.0
    watch_every: float = 2.0
    survey_every: float = 15.0
    prune_every: float = 3600.0


@dataclass(slots=True)
class Lane:
    """One partition of ours. `position` is None until it has been read from the database."""

    position: int | None = None
    failures: int = 0
    retry_at: float = 0.0
    halt: str = ""
    fresh: bool = True

    @property
    def open(self) -> bool:
        """Whether its records may be handled now."""
        return self.position is not None and not self.halt and not self.retry_at


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """How a consumer stands in one partition; `end` is one past the last offset in the log."""

    consumer: str
    partition: Partition
    position: int
    end: int
    halt: str

    @property
    def lag(self) -> int:
        """How many records may still be to handle."""
        return max(0, self.end - self.position)


class Upkeep:
    """When each of a consumer's chores is due."""

    def __init__(self, options: Options) -> None:
        now = time.monotonic()
        self._at = {"hint": now + options.hint_every, "prune": now + options.prune_every}

    def due(self, chore: str, every: float) -> bool:
        """Whether it is due; if so, it is next due in `every` seconds."""
        now = time.monotonic()
        if self._at.get(chore, 0) > now:
            return False
        self._at[chore] = now + every
        return True
