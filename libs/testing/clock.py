"""A clock that tests hold in their hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2025, 6, 1, 12, tzinfo=UTC)


class FakeClock:
    """Stands still until told to go on."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """See `libs.clock.Clock.now`."""
        return self._now

    def monotonic(self) -> float:
        """See `libs.clock.Clock.monotonic`."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Lets time pass. A negative number sets the wall clock back and leaves the monotonic."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += max(seconds, 0)
