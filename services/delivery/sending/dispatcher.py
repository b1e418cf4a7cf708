"""Which leased delivery is sent next.

Each endpoint has a credit: so many attempts at a time, fewer while nobody answers there, so that a
hanging receiver holds a few slots and not all of them. One that answers well is also given work
ahead, which waits here in memory and goes back to the database as soon as it fails.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from libs.clock import Clock
from libs.ids import Ids
from libs.obs.metrics import DELIVERY_IN_FLIGHT
from services.delivery.domain.model import Channel, Leased
from services.delivery.domain.outcome import Attempted, Exchange, judge
from services.delivery.domain.schedule import Schedule

log = logging.getLogger(__name__)

Send = Callable[[Leased], Awaitable[Exchange]]
_FLOWS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken on: `slots` attempts at a time in all and `credit` an endpoint; `ahead`
    more are held for one that answers well; `capacity` deliveries are held in all."""

    slots: int = 128
    credit: int = 16
    ahead: int = 496
    capacity: int = 4096


@dataclass(slots=True)
class Flow:
    """One endpoint's deliveries here. `held` counts those queued, under way and not recorded."""

    cap: int
    queue: deque[Leased] = field(default_factory=deque)
    held: int = 0
    in_flight: int = 0
    answers_well: bool = False
    is_ready: bool = False


class Dispatcher:
    """Starts attempts as far as the limits let it; `send` makes them, by channel."""

    def __init__(
        self,
        send: Mapping[Channel, Send],
        clock: Clock,
        ids: Ids,
        schedule: Schedule,
        limits: Limits,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._send = send
        self._clock = clock
        self._ids = ids
        self._schedule = schedule
        self._limits = limits
        self._chance = chance
        self._flows: dict[UUID, Flow] = {}
        self._ready: deque[Flow] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._held = 0
        self._tokens: Counter[UUID] = Counter()
        self.done: Callable[[Attempted], None] = lambda _attempted: None
        self.give_back: Callable[[list[Leased]], None] = lambda _leased: None
        self.may_send: Callable[[], bool] = lambda: True
        self._gauge = DELIVERY_IN_FLIGHT.labels("webhook")

    @property
    def free(self) -> int:
        """How many more deliveries can be taken on."""
        return self._limits.capacity - self._held

    @property
    def in_flight(self) -> int:
        """How many attempts are under way."""
        return self._in_flight

    @property
    def tokens(self) -> Collection[UUID]:
        """Under which leases deliveries are held."""
        return self._tokens.keys()

    def room(self, endpoint: UUID) -> int:
        """How many more deliveries of this endpoint can be taken on."""
        flow = self._flows.get(endpoint)
        return self._limits.credit if flow is None else self._allowance(flow) - flow.held

    def full(self) -> list[UUID]:
        """Endpoints for which so little can be taken on that it is not worth looking."""
        return [
            endpoint
            for endpoint, flow in self._flows.items()
            if self._allowance(flow) - flow.held < max(1, self._allowance(flow) // 4)
        ]

    def offer(self, leased: Iterable[Leased]) -> None:
        """Takes deliveries on."""
        for delivery in leased:
            endpoint = delivery.target.endpoint
            flow = self._flows.get(endpoint)
            if flow is None:
                flow = self._flows[endpoint] = Flow(cap=self._limits.credit)
            flow.queue.append(delivery)
            flow.held += 1
            self._held += 1
            self._tokens[delivery.lease] += 1
            self._make_ready(flow)
        self.pump()

    def pump(self) -> None:
        """Starts what can be started, an attempt an endpoint in turn."""
        if self._ready and not self.may_send():
            return
        while self._ready and self._in_flight < self._limits.slots:
            flow = self._ready.popleft()
            flow.is_ready = False
            if flow.queue:
                flow.in_flight += 1
                self._in_flight += 1
                task = asyncio.create_task(self._attempt(flow, flow.queue.popleft()))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                self._make_ready(flow)
        self._gauge.set(self._in_flight)

    def let_go(self, deliveries: Iterable[Leased]) -> None:
        """These are recorded, or given back: they are held no more."""
        for delivery in deliveries:
            flow = self._flows[delivery.target.endpoint]
            flow.held -= 1
            self._held -= 1
            self._tokens[delivery.lease] -= 1
            if not self._tokens[delivery.lease]:
                del self._tokens[delivery.lease]
            if not flow.held and len(self._flows) > _FLOWS_KEPT:
                del self._flows[delivery.target.endpoint]

    def take_back(self) -> list[Leased]:
        """Empties the queues; answers what was in them. It is held until it is let go."""
        taken = [delivery for flow in self._flows.values() for delivery in flow.queue]
        for flow in self._flows.values():
            flow.queue.clear()
        return taken

    def waiting(self) -> dict[UUID, int]:
        """Endpoints for which something is queued, with the revision that it was taken under."""
        return {
            endpoint: flow.queue[0].target.revision
            for endpoint, flow in self._flows.items()
            if flow.queue and flow.queue[0].target.channel is Channel.WEBHOOK
        }

    def recall(self, endpoints: Iterable[UUID]) -> None:
        """Gives back what is queued for these: they are not any more what they were."""
        for endpoint in endpoints:
            if (flow := self._flows.get(endpoint)) is not None:
                self._give_back(flow)

    async def idle(self) -> None:
        """Waits until no attempt is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _allowance(self, flow: Flow) -> int:
        return flow.cap + self._limits.ahead if flow.answers_well else flow.cap

    def _make_ready(self, flow: Flow) -> None:
        if flow.queue and flow.in_flight < flow.cap and not flow.is_ready:
            flow.is_ready = True
            self._ready.append(flow)

    async def _attempt(self, flow: Flow, delivery: Leased) -> None:
        start_time, start = self._clock.now(), self._clock.monotonic()
        try:
            exchange = await self._send[delivery.target.channel](delivery)
        except Exception:  # a fault of ours; without an outcome its lease would stay
            log.exception("an attempt failed in a way that it must not")
            exchange = Exchange("internal")
        attempted = Attempted(
            id=self._ids.uuid(),
            delivery=delivery,
            start_time=start_time,
            duration=timedelta(seconds=self._clock.monotonic() - start),
            exchange=exchange,
            verdict=judge(
                exchange,
                delivery.attempt,
                delivery.target.schedule or self._schedule,
                self._chance(),
            ),
        )
        flow.in_flight -= 1
        self._in_flight -= 1
        self._learn(flow, exchange)
        self.done(attempted)
        self._make_ready(flow)
        self.pump()

    def _learn(self, flow: Flow, exchange: Exchange) -> None:
        if exchange.is_success:
            flow.answers_well = True
            flow.cap = min(self._limits.credit, flow.cap * 2)
            return
        flow.answers_well = False
        if exchange.http_status is None or exchange.is_busy:
            flow.cap = max(1, flow.cap // 2)
        self._give_back(flow)

    def _give_back(self, flow: Flow) -> None:
        if flow.queue:
            back = list(flow.queue)
            flow.queue.clear()
            self.give_back(back)
