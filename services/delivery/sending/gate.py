"""How much of each lane may be taken, where something limits it. Needs the lanes' locks.

A plain lane costs one look for all of a claim; a limited one is counted over all workers, for what
it counts is in the database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from libs.db import Tx
from services.delivery.domain.breaker import Breaker, admit
from services.delivery.domain.model import Leased
from services.delivery.domain.outcome import Attempted
from services.delivery.domain.rates import Bucket
from services.delivery.sending.health import BREAKER_OPEN, HealthPolicy
from services.delivery.store import breakers, gates, lanes, order
from services.delivery.store.gates import Limits
from services.delivery.store.lanes import Hold

RATE_LIMITED = "rate_limited"
MAX_IN_FLIGHT = "max_in_flight"
# What is under way may be given back instead of sent, of which no outcome tells.
_LOOK_AGAIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Admission:
    """How many may be taken of each endpoint; of `probing` only because somebody must try.
    `holds` says, of those that are limited, why and until when nothing more is taken then."""

    rooms: dict[UUID, int]
    probing: frozenset[UUID] = frozenset()
    buckets: Mapping[UUID, Bucket] = field(default_factory=dict)
    holds: Mapping[UUID, Hold] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Of one lane: at most so many, and the hold if they are used up."""

    room: int
    hold: Hold
    breaker: Breaker | None = None


class Gate:
    """Asked before a claim takes anything, told what it took."""

    def __init__(self, policy: HealthPolicy) -> None:
        self._policy = policy

    async def admit(self, tx: Tx, rooms: dict[UUID, int]) -> Admission:
        """Cuts `rooms` to what may be taken."""
        limited = await gates.limits(tx, rooms)
        if not limited:
            return Admission(rooms)
        counted = [id for id, one in limited.items() if one.breaker or one.cap is not None]
        held = await gates.under_way(tx, counted) if counted else {}
        seen = {id: self._judge(one, held.get(id, 0)) for id, one in limited.items()}
        await breakers.save(
            tx, {id: one.breaker for id, one in seen.items() if one.breaker is not None}
        )
        return Admission(
            {id: min(room, seen[id].room) if id in seen else room for id, room in rooms.items()},
            frozenset(id for id, one in limited.items() if one.breaker is not None),
            {id: one.bucket for id, one in limited.items() if one.bucket is not None},
            {id: one.hold for id, one in seen.items()},
        )

    async def taken(self, tx: Tx, admission: Admission, leased: Sequence[Leased]) -> None:
        """Takes note of what was taken, and closes the lanes of which nothing more may be."""
        if not admission.holds:
            return
        counts = Counter(one.target.endpoint for one in leased)
        buckets = {id: one.take(counts[id]) for id, one in admission.buckets.items()}
        await gates.save_tokens(tx, buckets)
        holds = {}
        for id, hold in admission.holds.items():
            if counts[id] < admission.rooms[id]:
                continue
            if hold.reason == RATE_LIMITED:
                hold = Hold(buckets[id].next_time, RATE_LIMITED)
            holds[id] = hold
        await lanes.hold(tx, holds)

    def _judge(self, limits: Limits, under_way: int) -> _Verdict:
        """The strictest of the limits; its reason is the one to be told."""
        found: list[_Verdict] = []
        if limits.breaker is not None:
            found.append(self._probe(limits.breaker, limits.now, under_way))
        if limits.cap is not None:
            hold = Hold(limits.now + _LOOK_AGAIN, MAX_IN_FLIGHT)
            found.append(_Verdict(max(0, limits.cap - under_way), hold))
        if limits.bucket is not None:
            hold = Hold(limits.bucket.next_time, RATE_LIMITED)
            found.append(_Verdict(limits.bucket.whole, hold))
        strictest = min(found, key=lambda one: one.room)
        return _Verdict(strictest.room, strictest.hold, found[0].breaker)

    def _probe(self, breaker: Breaker, now: datetime, under_way: int) -> _Verdict:
        after, room = admit(breaker, self._policy.breaker, now, under_way)
        if breaker.until is not None and breaker.until > now:
            until = breaker.until
        elif not room:
            until = now + _LOOK_AGAIN
        else:
            until = now + timedelta(seconds=self._policy.probe_lifetime)
        return _Verdict(room or 0, Hold(until, BREAKER_OPEN), after if after != breaker else None)


async def settled(tx: Tx, batch: Sequence[Attempted]) -> bool:
    """Lets the next ones through where these stood in the way; answers whether any did."""
    gated = [one.delivery for one in batch if one.delivery.target.gated]
    if not gated:
        return False
    capped = {one.target.endpoint for one in gated if one.target.max_in_flight is not None}
    await lanes.free(tx, capped, MAX_IN_FLIGHT)
    ordered = [(one.message.id, one.target.endpoint) for one in gated if one.target.ordered]
    await order.promote(tx, ordered)
    return bool(capped or ordered)
