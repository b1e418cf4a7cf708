"""A rate limit as a bucket of tokens: one attempt takes one; they come back steadily."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

# So long at least between two looks at a limited lane: at high rates a look takes many at once.
SHORTEST_WAIT = 0.05


@dataclass(frozen=True, slots=True)
class Bucket:
    """`tokens` at `time`. It holds what comes back within a second, and at least one."""

    rate: float
    tokens: float
    time: datetime

    @classmethod
    def full(cls, rate: float, now: datetime) -> Bucket:
        """One that was never used."""
        return cls(rate, max(1.0, rate), now)

    def at(self, now: datetime) -> Bucket:
        """As it is at `now`."""
        passed = max(0.0, (now - self.time).total_seconds())
        return Bucket(self.rate, min(max(1.0, self.rate), self.tokens + passed * self.rate), now)

    @property
    def whole(self) -> int:
        """How many may be taken."""
        return max(0, math.floor(self.tokens + 1e-9))

    def take(self, count: int) -> Bucket:
        """What is left."""
        return Bucket(self.rate, self.tokens - count, self.time)

    @property
    def next_time(self) -> datetime:
        """When one may be taken again."""
        wait = (1.0 - self.tokens) / self.rate
        return self.time + timedelta(microseconds=math.ceil(1e6 * max(SHORTEST_WAIT, wait)))
