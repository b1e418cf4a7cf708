"""Writes outcomes down in batches, and tells the other services of what was settled."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence

from libs.db import Database, Tx, is_transient
from libs.obs.metrics import (
    DELIVERY_ATTEMPTS,
    DELIVERY_LATENCY,
    DELIVERY_OUTCOMES,
)
from services.delivery.domain.model import DeliveryState, Leased, Settled
from services.delivery.domain.outcome import UNASKED, Attempted
from services.delivery.sending import gate
from services.delivery.sending.health import Health
from services.delivery.sending.settled import publish
from services.delivery.store import leases, outcomes

log = logging.getLogger(__name__)

BATCH = 500
_BACKOFF = (0.05, 0.1, 0.2, 0.5, 1.0)


class Recorder:
    """One writer. What it holds is written again and again until the database takes it.

    `recorded` is then told which deliveries are held no more, and whether some of them wait again.
    """

    def __init__(
        self, db: Database, health: Health, recorded: Callable[[Sequence[Leased], bool], None]
    ) -> None:
        self._db = db
        self._health = health
        self._recorded = recorded
        self._attempts: deque[Attempted] = deque()
        self._back: deque[Leased] = deque()
        self._batch: list[Attempted] = []
        self._giving: list[Leased] = []
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, attempted: Attempted) -> None:
        """Has an attempt recorded."""
        self._attempts.append(attempted)
        self._stir()

    def give_back(self, leased: Sequence[Leased]) -> None:
        """Has deliveries given back that were not sent."""
        self._back.extend(leased)
        self._stir()

    async def empty(self) -> None:
        """Waits until everything is recorded."""
        await self._empty.wait()

    async def run(self) -> None:
        """Records until it is cancelled."""
        failures = 0
        while True:
            await self._wake.wait()
            self._fill()
            try:
                await self._write()
                failures = 0
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("outcomes wait for the database", extra={"error": repr(error)})
                await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
                failures += 1
            if not (self._attempts or self._back or self._batch or self._giving):
                self._wake.clear()
                self._empty.set()

    def _stir(self) -> None:
        self._wake.set()
        self._empty.clear()

    def _fill(self) -> None:
        """Takes the next batch, unless one is still to be written; a delivery is in it once."""
        if self._batch or self._giving:
            return
        seen = set()
        while self._attempts and len(self._batch) < BATCH:
            delivery = self._attempts[0].delivery
            key = (delivery.message.id, delivery.target.endpoint)
            if key in seen:
                break
            seen.add(key)
            self._batch.append(self._attempts.popleft())
        while self._back and len(self._giving) < BATCH:
            self._giving.append(self._back.popleft())

    async def _write(self) -> None:
        async with self._db.transaction() as tx:
            settled, stirred = await self._record(tx)
            await leases.release(tx, self._giving)
        batch, giving, self._batch, self._giving = self._batch, self._giving, [], []
        _count(batch, settled)
        waits = any(attempted.verdict.state is DeliveryState.PENDING for attempted in batch)
        held_no_more = [*(attempted.delivery for attempted in batch), *giving]
        self._recorded(held_no_more, waits or stirred or bool(giving))

    async def _record(self, tx: Tx) -> tuple[list[Settled], bool]:
        if not self._batch:
            return [], False
        settled = await outcomes.record(tx, self._batch)
        publish(tx, settled)
        stirred = await self._health.observe(tx, self._batch)
        return settled, await gate.settled(tx, self._batch) or stirred


def _count(batch: Sequence[Attempted], settled: Sequence[Settled]) -> None:
    codes = Counter((a.delivery.target.channel, a.exchange.code) for a in batch)
    for (channel, code), count in codes.items():
        if code == UNASKED:
            continue
        DELIVERY_ATTEMPTS.labels(channel, code).inc(count)
    states = Counter((end.channel, end.state) for end in settled)
    for (channel, state), count in states.items():
        DELIVERY_OUTCOMES.labels(channel, state.name.lower()).inc(count)
    latency = {channel: DELIVERY_LATENCY.labels(channel) for channel, _ in states}
    for end in settled:
        if end.state in (DeliveryState.DELIVERED, DeliveryState.SENT):
            seconds = (end.settle_time - end.create_time).total_seconds()
            latency[end.channel].observe(max(0.0, seconds))
