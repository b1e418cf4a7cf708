"""When a delivery that failed is tried again."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Ten attempts over three days: a receiver's bad minute costs seconds, a bad weekend nothing.
DEFAULT_DELAYS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
# No receiver can put us off for longer than this.
LONGEST_RETRY_AFTER = 86400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds to wait after the first, second … failure, each spread by ± `jitter` of itself."""

    delays: tuple[float, ...] = DEFAULT_DELAYS
    jitter: float = 0.2

    def delay(self, attempt: int, chance: float, retry_after: float | None = None) -> float | None:
        """Seconds from the failure of attempt number `attempt` (1 for the first) to the next one.

        None where there is no next. `chance` is uniform in [0, 1). A receiver's `retry_after`
        puts the attempt off, never forward, and by no more than a day.
        """
        if attempt > len(self.delays):
            return None
        planned = self.delays[attempt - 1] * (1 + self.jitter * (2 * chance - 1))
        if retry_after is None:
            return planned
        return max(planned, min(retry_after, LONGEST_RETRY_AFTER))


def parse_delays(text: str) -> tuple[float, ...]:
    """Seconds, with commas between: "5,300,1800". Raises ValueError."""
    delays = tuple(float(part) for part in text.split(","))
    if not all(math.isfinite(delay) and 0 <= delay <= LONGEST_RETRY_AFTER for delay in delays):
        raise ValueError(f"expected seconds from 0 to {LONGEST_RETRY_AFTER:.0f}")
    if list(delays) != sorted(delays):
        raise ValueError("expected delays that do not get shorter")
    return delays


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from `now`, of a Retry-After header in either form of RFC 9110 §10.2.3.

    None where there is none, or it cannot be read; a time gone by is 0.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
