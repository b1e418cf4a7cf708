"""When sources are fetched: at a time of day, in a time zone, once a day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_ENTRY = re.compile(r"([a-z0-9-]{1,40})=([01]\d|2[0-3]):([0-5]\d)@([A-Za-z0-9_+/-]{1,60})")


@dataclass(frozen=True, slots=True)
class Daily:
    """A source's time of day."""

    source: str
    at: time
    zone: ZoneInfo

    def last(self, now: datetime) -> datetime:
        """The latest time up to `now` at which it was due, in UTC.

        A time that a change of clocks leaves out comes as much later as the clocks go forward; of
        one that comes twice it is the first.
        """
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


def schedule(text: str) -> tuple[Daily, ...]:
    """Reads "tcgcsv=21:30@UTC,…"; nothing for an empty text. Raises ValueError."""
    found: dict[str, Daily] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _ENTRY.fullmatch(part)
        if match is None or match[1] in found:
            raise ValueError(
                "expected sources with a time and a time zone, such as tcgcsv=21:30@UTC, once each"
            )
        try:
            zone = ZoneInfo(match[4])
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"there is no time zone {match[4]}") from None
        found[match[1]] = Daily(match[1], time(int(match[2]), int(match[3])), zone)
    return tuple(found.values())
