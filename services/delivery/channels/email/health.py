"""The breaker of a mail provider: one that fails is left alone, longer each time.

While it is open e-mail goes through the next provider, or waits. Then one e-mail at a time probes.
All processes share it, and it outlives them: it is in the database.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from libs.api.wire import stamp
from libs.clock import Clock
from libs.db import Database, Tx
from libs.obs.metrics import BREAKER_TRANSITIONS
from pq.delivery.v1.emails_events_pb2 import EmailProviderBreakerChanged
from services.delivery.domain.breaker import (
    Answers,
    Breaker,
    BreakerPolicy,
    BreakerState,
    Transition,
    admit,
    observe,
)
from services.delivery.store import provider_breakers
from services.delivery.store.provider_breakers import Kept

log = logging.getLogger(__name__)

POLICY = BreakerPolicy(minimum=5, share=0.5, first=15.0, longest=600.0, probes=1)
# Seconds for which a provider that was well is taken to be so without asking the database, and
# after which a probe whose answer never came gives way to the next.
_TRUSTED = 1.0
_PROBE = 30.0


class Health:
    """One provider's, as this process sees it."""

    def __init__(
        self, name: str, db: Database, clock: Clock, policy: BreakerPolicy = POLICY
    ) -> None:
        self._name = name
        self._db = db
        self._clock = clock
        self._policy = policy
        self._well_until = 0.0
        self._spotless = False

    async def wait(self) -> float:
        """0.0 where the provider may be asked, which is then a probe if it had failed; else the
        seconds until it may."""
        if self._clock.monotonic() < self._well_until:
            return 0.0
        found = await provider_breakers.get(self._db, self._name)
        if self._is_well(found):
            return 0.0
        async with self._db.transaction() as tx:
            return await self._admit(tx, await provider_breakers.lock(tx, self._name))

    async def record(self, success: bool) -> None:
        """What came of asking."""
        if success and self._spotless and self._clock.monotonic() < self._well_until:
            return
        now = self._clock.now()
        async with self._db.transaction() as tx:
            kept = await provider_breakers.lock(tx, self._name)
            seen = observe(kept.breaker, self._policy, now, _answers(kept.breaker, success))
            after = Kept(seen.breaker)
            await provider_breakers.save(tx, self._name, after)
            if seen.transition is not None:
                self._tell(tx, seen.breaker, seen.transition, now)
        self._is_well(after)

    async def _admit(self, tx: Tx, kept: Kept) -> float:
        now = self._clock.now()
        probing = kept.probe_until is not None and kept.probe_until > now
        after, room = admit(kept.breaker, self._policy, now, int(probing))
        if room is None:
            return 0.0
        if room:
            ends = now + timedelta(seconds=_PROBE)
            await provider_breakers.save(tx, self._name, Kept(after, ends))
            return 0.0
        free = kept.probe_until if probing else after.until
        return max(0.1, (free - now).total_seconds()) if free is not None else _TRUSTED

    def _is_well(self, kept: Kept | None) -> bool:
        well = kept is None or kept.breaker.state is BreakerState.CLOSED
        self._spotless = kept is None or kept.breaker.is_forgettable
        self._well_until = self._clock.monotonic() + _TRUSTED if well else 0.0
        return well

    def _tell(self, tx: Tx, breaker: Breaker, transition: Transition, now: datetime) -> None:
        tx.publish(
            EmailProviderBreakerChanged(
                provider=self._name,
                transition=transition,
                open_count=breaker.opens,
                probe_time=stamp(breaker.until),
                change_time=stamp(now),
            )
        )

        def committed() -> None:
            BREAKER_TRANSITIONS.labels(transition).inc()
            told = {"provider": self._name, "to": transition, "opens": breaker.opens}
            log.warning("the breaker of a mail provider", extra=told)

        tx.after_commit(committed)


def _answers(breaker: Breaker, success: bool) -> Answers:
    """Half-open, what is answered is taken for a probe's: nothing else is asked then."""
    if breaker.state is BreakerState.HALF_OPEN:
        return Answers(probe_successes=int(success), probe_failures=int(not success))
    return Answers(successes=int(success), failures=int(not success))
