"""What is due once a day, at a time of day in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, slots=True)
class Daily:
    """A time of day, `at`, in `zone`.

    A time that a change of clocks leaves out comes as much later as the clocks go forward; of one
    that comes twice it is the first.
    """

    at: time
    zone: ZoneInfo

    def last(self, now: datetime) -> datetime:
        """The latest time up to `now` at which it was due, in UTC."""
        day = now.astimezone(self.zone).date()
        due = self._on(day)
        return due if due <= now else self._on(day - timedelta(days=1))

    def next(self, now: datetime) -> datetime:
        """The first time after `now` at which it is due, in UTC."""
        day = now.astimezone(self.zone).date()
        due = self._on(day)
        return due if due > now else self._on(day + timedelta(days=1))

    def _on(self, day: date) -> datetime:
        return datetime.combine(day, self.at, self.zone).astimezone(UTC)


def zone(name: str) -> ZoneInfo:
    """The time zone of this IANA name. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name[:60]}") from None
