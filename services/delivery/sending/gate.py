"""How much of each lane may be taken, where something limits it. Needs the lanes' locks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from libs.db import Tx
from services.delivery.domain.breaker import Breaker, admit
from services.delivery.domain.model import Leased
from services.delivery.sending.health import BREAKER_OPEN, HealthPolicy
from services.delivery.store import breakers, lanes
from services.delivery.store.lanes import Hold

# What is under way may be given back instead of sent, of which no outcome tells.
_LOOK_AGAIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Admission:
    """How many may be taken of each endpoint; of `probing` only because somebody must try."""

    rooms: dict[UUID, int]
    probing: Mapping[UUID, int] = field(default_factory=dict)
    now: datetime | None = None


class Gate:
    """Asked before a claim takes anything. Lanes that nothing limits cost one look for all."""

    def __init__(self, policy: HealthPolicy) -> None:
        self._policy = policy

    async def admit(self, tx: Tx, rooms: dict[UUID, int]) -> Admission:
        """Cuts `rooms` to what may be taken."""
        known = await breakers.not_closed(tx, rooms)
        if not known:
            return Admission(rooms)
        now = await breakers.now(tx)
        held = await breakers.under_way(tx, known)
        changed: dict[UUID, Breaker] = {}
        probing: dict[UUID, int] = {}
        for id, breaker in known.items():
            after, room = admit(breaker, self._policy.breaker, now, held.get(id, 0))
            if after != breaker:
                changed[id] = after
            if room is not None:
                probing[id] = min(room, rooms[id])
        await breakers.save(tx, changed)
        await lanes.hold(tx, {id: self._wait(known[id], now) for id, n in probing.items() if not n})
        return Admission({**rooms, **probing}, probing, now)

    async def taken(self, tx: Tx, admission: Admission, leased: Sequence[Leased]) -> None:
        """Closes lanes behind the probes that were taken, until they are heard of."""
        if not admission.probing or admission.now is None:
            return
        counts = Counter(one.target.endpoint for one in leased if one.probe)
        waits = Hold(admission.now + timedelta(seconds=self._policy.probe_lifetime), BREAKER_OPEN)
        used_up = [id for id, room in admission.probing.items() if 0 < room <= counts[id]]
        await lanes.hold(tx, dict.fromkeys(used_up, waits))

    @staticmethod
    def _wait(breaker: Breaker, now: datetime) -> Hold:
        if breaker.until is not None and breaker.until > now:
            return Hold(breaker.until, BREAKER_OPEN)
        return Hold(now + _LOOK_AGAIN, BREAKER_OPEN)
