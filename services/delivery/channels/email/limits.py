"""How fast a provider is asked: so many e-mails a second, and a second's worth at once."""

from __future__ import annotations

from libs.clock import Clock


class Pace:
    """A token bucket by the monotonic clock. `rate` is in e-mails a second.

    Whoever finds it empty is told when to come again; those told wait for times one after the
    other, so that they do not all come at once.
    """

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._room = max(1.0, rate)
        self._tokens = self._room
        self._at = clock.monotonic()
        self._promised = self._at

    def take(self) -> float:
        """0.0 where an e-mail may go now, else the seconds after which to ask again."""
        now = self._clock.monotonic()
        self._tokens = min(self._room, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        self._promised = max(self._promised, now) + 1 / self._rate
        return self._promised - now

    def slow_down(self, seconds: float) -> None:
        """Takes nothing for so long: the provider said that it is too much."""
        self._tokens = min(self._tokens, -seconds * self._rate)
