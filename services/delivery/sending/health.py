"""What receivers' answers mean for their endpoints: breakers, patience, and being disabled.

An endpoint that does not fail has no breaker, and nothing is done for it here.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.api.wire import resource_name, stamp
from libs.db import Tx
from libs.obs.metrics import BREAKER_TRANSITIONS
from pq.delivery.v1 import delivery_events_pb2 as events
from services.delivery.domain.breaker import (
    Answers,
    Breaker,
    BreakerPolicy,
    BreakerState,
    Observed,
    Transition,
    observe,
)
from services.delivery.domain.model import Channel, Target
from services.delivery.domain.outcome import ENDPOINT_FAILING, Attempted
from services.delivery.store import breakers, endpoints, lanes
from services.delivery.store.lanes import Hold

log = logging.getLogger(__name__)

BREAKER_OPEN = "breaker_open"
RECEIVER_BUSY = "receiver_busy"


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """When an endpoint is left alone. After `disable_after` of nothing but failure it is disabled;
    its owner is warned after `warn_after`. `probe_lifetime`: seconds after which a probe that was
    let through and never heard of again is no reason to wait for it."""

    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    disable_after: timedelta = timedelta(days=5)
    warn_after: timedelta = timedelta(days=3)
    probe_lifetime: float = 30.0


DEFAULT_HEALTH = HealthPolicy()


class Health:
    """Watches the outcomes of one worker. The lanes of the endpoints are locked."""

    def __init__(self, policy: HealthPolicy) -> None:
        self._policy = policy

    async def observe(self, tx: Tx, batch: Sequence[Attempted]) -> bool:
        """Takes note of a batch of attempts; answers whether lanes are to be looked at anew."""
        telling = {
            attempted.delivery.target.endpoint: attempted
            for attempted in batch
            if is_telling(attempted)
        }
        if not telling:
            return False
        now = await breakers.now(tx)
        known = await breakers.get(tx, telling)
        tallies = _tallies(batch, telling)
        seen = {
            id: observe(known.get(id, Breaker()), self._policy.breaker, now, tallies[id])
            for id in telling
        }
        seen |= await self._disable(tx, now, telling, seen)
        changed = {id: one.breaker for id, one in seen.items() if one.breaker != known.get(id)}
        await breakers.save(tx, changed)
        await _hold(tx, seen)
        await _note(tx, seen)
        for id, one in seen.items():
            if one.transition is not None:
                _tell(tx, telling[id].delivery.target, one.breaker, one.transition, now)
        return True

    async def _disable(
        self,
        tx: Tx,
        now: datetime,
        telling: dict[UUID, Attempted],
        seen: dict[UUID, Observed],
    ) -> dict[UUID, Observed]:
        """Disables whoever said so or has failed for too long, and warns who is on the way there;
        answers what that makes of their breakers."""
        changed: dict[UUID, Observed] = {}
        for id, attempted in telling.items():
            since = seen[id].breaker.failing_since
            lasts = now - since if since else timedelta(0)
            reason = attempted.verdict.disable
            if not reason and lasts >= self._policy.disable_after:
                reason = ENDPOINT_FAILING
            if reason:
                if await endpoints.disable(tx, [id], reason):
                    tx.publish(_disabled(attempted, reason, since, now))
                changed[id] = Observed(Breaker())
            elif since and lasts >= self._policy.warn_after and not seen[id].breaker.warned:
                tx.publish(_failing(attempted, since, since + self._policy.disable_after))
                warned = replace(seen[id].breaker, warned=True)
                changed[id] = replace(seen[id], breaker=warned)
        return changed


def is_telling(attempted: Attempted) -> bool:
    """Whether an attempt says something about its endpoint that must be written down."""
    target = attempted.delivery.target
    if target.channel is not Channel.WEBHOOK or attempted.exchange.waits:
        return False
    return target.watched or not attempted.exchange.is_success


def _tallies(batch: Iterable[Attempted], telling: dict[UUID, Attempted]) -> dict[UUID, Answers]:
    by_endpoint: dict[UUID, list[Attempted]] = defaultdict(list)
    for attempted in batch:
        if attempted.delivery.target.endpoint in telling:
            by_endpoint[attempted.delivery.target.endpoint].append(attempted)
    return {id: _tally(all_of_it) for id, all_of_it in by_endpoint.items()}


def _tally(attempts: Sequence[Attempted]) -> Answers:
    busy = [a for a in attempts if a.exchange.is_busy]
    rest = [a for a in attempts if not a.exchange.is_busy]

    def count(holds: Callable[[Attempted], bool]) -> int:
        return sum(map(holds, rest))

    return Answers(
        successes=count(lambda a: a.exchange.is_success and not a.delivery.probe),
        failures=count(lambda a: not a.exchange.is_success and not a.delivery.probe),
        busy=len(busy),
        asked=max((a.exchange.retry_after or 0.0 for a in busy), default=None),
        probe_successes=count(lambda a: a.exchange.is_success and a.delivery.probe),
        probe_failures=count(lambda a: not a.exchange.is_success and a.delivery.probe),
    )


async def _hold(tx: Tx, seen: dict[UUID, Observed]) -> None:
    holds, free = {}, []
    for id, one in seen.items():
        breaker = one.breaker
        if breaker.state is BreakerState.OPEN and breaker.until is not None:
            if one.transition is not None:
                holds[id] = Hold(breaker.until, BREAKER_OPEN)
        elif one.busy_until is not None:
            holds[id] = Hold(one.busy_until, RECEIVER_BUSY)
        else:
            free.append(id)
    await lanes.hold(tx, holds)
    await lanes.free(tx, free, BREAKER_OPEN)
    await lanes.free(tx, [id for id in free if not seen[id].breaker.busy], RECEIVER_BUSY)


async def _note(tx: Tx, seen: dict[UUID, Observed]) -> None:
    """Keeps on record when lanes were held, for whoever asks why something waited."""
    for id, one in seen.items():
        if one.transition is Transition.OPEN:
            await lanes.note_hold(tx, id, BREAKER_OPEN)
        elif one.transition is Transition.CLOSE:
            await lanes.note_end(tx, id, [BREAKER_OPEN])
        elif one.busy_until is not None:
            await lanes.note_hold(tx, id, RECEIVER_BUSY, one.busy_until)


def _tell(tx: Tx, target: Target, breaker: Breaker, transition: Transition, now: datetime) -> None:
    tx.publish(
        events.BreakerChanged(
            endpoint=resource_name("endpoints", "ep", target.endpoint),
            account=resource_name("accounts", "acc", target.account),
            transition=transition,
            open_count=breaker.opens,
            probe_time=stamp(breaker.until),
            change_time=stamp(now),
        )
    )

    def committed() -> None:
        BREAKER_TRANSITIONS.labels(transition).inc()
        log.warning(
            "a breaker changed",
            extra={"endpoint": str(target.endpoint), "to": transition, "opens": breaker.opens},
        )

    tx.after_commit(committed)


def _failing(attempted: Attempted, since: datetime, ends: datetime) -> events.EndpointFailing:
    target = attempted.delivery.target
    return events.EndpointFailing(
        endpoint=resource_name("endpoints", "ep", target.endpoint),
        account=resource_name("accounts", "acc", target.account),
        url=target.url,
        failing_since=stamp(since),
        disable_time=stamp(ends),
        code=attempted.exchange.code,
        http_status=attempted.exchange.http_status,
    )


def _disabled(
    attempted: Attempted, reason: str, since: datetime | None, now: datetime
) -> events.EndpointDisabled:
    target = attempted.delivery.target
    return events.EndpointDisabled(
        endpoint=resource_name("endpoints", "ep", target.endpoint),
        account=resource_name("accounts", "acc", target.account),
        url=target.url,
        reason=reason,
        failing_since=stamp(since) if reason == ENDPOINT_FAILING else None,
        disable_time=stamp(now),
        code=attempted.exchange.code,
        http_status=attempted.exchange.http_status,
    )
