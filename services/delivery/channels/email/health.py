"""The breaker of a mail provider: after failures in a row it is left alone, longer each time.

While it is open e-mail goes through the next provider, or waits. Then one e-mail at a time probes.
"""

from __future__ import annotations

import logging

from libs.clock import Clock
from libs.obs.metrics import BREAKER_TRANSITIONS

log = logging.getLogger(__name__)

FAILURES = 5
FIRST_PAUSE = 15.0
LONGEST_PAUSE = 600.0


class Health:
    """One provider's, by the monotonic clock; see `choose.Breaker`.

    It belongs to this process: each finds out within a few e-mails, and none waits for the others.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._pause = 0.0
        self._open_until = 0.0
        self._probing_until = 0.0

    def wait(self) -> float:
        """0.0 where the provider may be asked, which is then a probe if it had failed."""
        now = self._clock.monotonic()
        if not self._pause:
            return 0.0
        left = max(self._open_until, self._probing_until) - now
        if left > 0:
            return left
        # A probe whose answer never comes gives way to the next.
        self._probing_until = now + FIRST_PAUSE
        return 0.0

    def record(self, success: bool) -> None:
        """What came of asking."""
        if success:
            if self._pause:
                self._change("close")
            self._failures, self._pause, self._probing_until = 0, 0.0, 0.0
            return
        self._failures += 1
        if self._pause or self._failures >= FAILURES:
            now = self._clock.monotonic()
            if self._pause and now < self._open_until:
                return  # asked before it opened
            self._change("reopen" if self._pause else "open")
            self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
            self._open_until, self._probing_until = now + self._pause, 0.0

    def _change(self, to: str) -> None:
        BREAKER_TRANSITIONS.labels(to).inc()
        log.warning("the breaker of a mail provider", extra={"provider": self._name, "to": to})
