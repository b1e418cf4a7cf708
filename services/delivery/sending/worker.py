"""A worker: holds leases while its heart beats, takes what is due, and gives back what it cannot
send."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.clock import Clock
from libs.db import Database, is_transient
from libs.ids import Ids
from services.delivery.domain.model import Leased, Message, Target
from services.delivery.sending.dispatcher import Dispatcher
from services.delivery.sending.gate import Gate
from services.delivery.sending.health import DEFAULT_HEALTH, Health, HealthPolicy
from services.delivery.sending.recorder import Recorder
from services.delivery.store import endpoint_targets, lanes, leases, workers
from services.delivery.store.leases import Lease, NewDelivery
from services.delivery.store.vault import Vault

log = logging.getLogger(__name__)

_LANES_AT_ONCE = 100
# Seconds between looks for the lane that is due first; claims begin there, past rows that are dead
# and that somebody's snapshot keeps.
_LOW_KEPT = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: a worker silent for `lifetime` has lost its leases; its heart beats every `beat`; it
    looks for due deliveries at least every `poll`."""

    lifetime: float = 10.0
    beat: float = 2.0
    poll: float = 1.0


class Worker:
    """Leases of one process, from taking to giving back."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        dispatcher: Dispatcher,
        clock: Clock,
        ids: Ids,
        pace: Pace,
        policy: HealthPolicy = DEFAULT_HEALTH,
    ) -> None:
        self._db = db
        self._vault = vault
        self._dispatcher = dispatcher
        self._clock = clock
        self._ids = ids
        self.pace = pace
        self._id: UUID | None = None
        self._held_until = 0.0
        self._draining = False
        self._wake = asyncio.Event()
        self._more_waits = False
        self._low, self._low_until = lanes.EVER, 0.0
        self._suspects: set[UUID] = set()
        self._recall_at = 0.0
        self._gate = Gate(policy)
        self.recorder = Recorder(db, Health(policy), self._recorded)
        dispatcher.done = self.recorder.put
        dispatcher.give_back = self.recorder.give_back
        dispatcher.may_send = self.holds_leases

    def holds_leases(self) -> bool:
        """Whether nobody else can have taken over what this worker leased.

        By the monotonic clock, and well before the database's clock would say so.
        """
        return self._id is not None and self._clock.monotonic() < self._held_until

    # What a consumer does: plan in the transaction, accept after the commit.

    def plan(
        self, made: Iterable[tuple[Message, Target]]
    ) -> tuple[list[NewDelivery], Lease | None]:
        """Says which new deliveries are sent from here at once; the others wait in their lanes."""
        lease = self._new_lease()
        free = self._dispatcher.free if lease else 0
        now = self._clock.now()
        rooms: dict[UUID, int] = {}
        planned = []
        for message, target in made:
            id = target.endpoint
            room = rooms[id] if id in rooms else self._dispatcher.room(id)
            in_time = message.deliver_by is None or now < message.deliver_by
            here = free > 0 and room > 0 and target.open and in_time
            here = here and not target.gated and not message.coalesce_key
            rooms[id] = room - here
            free -= here
            planned.append(NewDelivery(message, target, leased=here))
        return planned, lease

    def accept(self, leased: Sequence[Leased], *, more_waits: bool) -> None:
        """Sends what was leased to this worker and is committed."""
        self._dispatcher.offer(leased)
        if more_waits:
            self.wake()

    def wake(self) -> None:
        """Has the lanes looked at soon."""
        self._wake.set()

    # What runs in the background.

    async def beat(self) -> None:
        """Registers and keeps saying that this worker lives, until it is cancelled."""
        while True:
            try:
                await self._beat_once()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("no heartbeat: the database is away", extra={"error": repr(error)})
            await asyncio.sleep(self.pace.beat)

    async def claim(self) -> None:
        """Takes what is due and can be sent, until it is cancelled."""
        while True:
            self._wake.clear()
            wait = self.pace.poll
            try:
                if self._clock.monotonic() >= self._low_until:
                    self._low = await lanes.low_water(self._db)
                    self._low_until = self._clock.monotonic() + _LOW_KEPT
                await self._recall_changed()
                while await self.claim_once():
                    await self._recall_changed()
                wait = await self._seconds_to_next()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("cannot claim: the database is away", extra={"error": repr(error)})
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def claim_once(self) -> bool:
        """One look at the lanes; answers whether anything was taken."""
        lease, free = self._new_lease(), self._dispatcher.free
        if lease is None or free <= 0:
            self._more_waits = True
            return False
        full = self._dispatcher.full()
        self._more_waits = bool(full)
        async with self._db.transaction() as tx:
            ripe = await lanes.lock_ripe(tx, full, _LANES_AT_ONCE, self._low)
            if not ripe:
                return False
            admission = await self._gate.admit(tx, self._share(ripe, free))
            leased = await leases.claim(tx, self._vault, lease, admission.rooms, admission.probing)
            await self._gate.taken(tx, admission, leased)
        self._dispatcher.offer(leased)
        return bool(leased)

    async def drain(self) -> None:
        """Finishes what is under way, records it, gives back the rest. The recorder must run."""
        self._draining = True
        self._back_to_lanes()
        await self._dispatcher.idle()
        self._back_to_lanes()
        await self.recorder.empty()
        if self._id is not None:
            async with self._db.transaction() as tx:
                # Waits for consumers that are about to commit leases to us.
                if await workers.lock(tx, self._id):
                    await workers.retire(tx, [self._id])
            self._id = None

    # Within.

    async def _beat_once(self) -> None:
        begun = self._clock.monotonic()
        if self._id is not None and not await workers.heartbeat(self._db, self._id):
            log.warning("this worker was taken for dead; it starts anew")
            self._id = None
            self._forget()
        if self._id is None and not self._draining:
            id = self._ids.uuid()
            await workers.register(self._db, id, f"{socket.gethostname()}:{os.getpid()}")
            self._id = id
            self.wake()
        self._held_until = begun + self.pace.lifetime * 0.75
        self._dispatcher.pump()
        if self._id is not None:
            await self._find_strays(self._id)

    async def _recall_changed(self) -> None:
        """Gives back what is queued for endpoints that were paused, changed or deleted since: it
        waits, or goes where they are now, signed with what they have now."""
        now = self._clock.monotonic()
        if now < self._recall_at:
            return
        self._recall_at = now + self.pace.poll / 2
        if waiting := self._dispatcher.waiting():
            self._dispatcher.recall(await endpoint_targets.changed(self._db, waiting))

    async def _find_strays(self, worker: UUID) -> None:
        """Gives back what is leased to us and unknown to us: the commit succeeded, and the answer
        that said so was lost. Unknown twice in a row, for an answer may be on its way."""
        found = await leases.strays(self._db, worker, self._dispatcher.tokens)
        lost, self._suspects = found & self._suspects, found
        if lost:
            async with self._db.transaction() as tx:
                await leases.release_tokens(tx, worker, lost)
            self.wake()

    def _new_lease(self) -> Lease | None:
        if self._draining or self._id is None or not self.holds_leases():
            return None
        return Lease(self._id, self._ids.uuid())

    def _share(self, ripe: Sequence[UUID], free: int) -> dict[UUID, int]:
        """How many to take of each: what it has room for, and no more in all than is free."""
        each = max(1, free // len(ripe))
        rooms = {id: min(self._dispatcher.room(id), each) for id in ripe[:free]}
        return {id: room for id, room in rooms.items() if room > 0}

    def _back_to_lanes(self) -> None:
        taken = self._dispatcher.take_back()
        if taken:
            self.recorder.give_back(taken)

    def _forget(self) -> None:
        """What is queued belongs to another worker by now."""
        self._dispatcher.let_go(self._dispatcher.take_back())

    def _recorded(self, deliveries: Sequence[Leased], waits: bool) -> None:
        self._dispatcher.let_go(deliveries)
        if waits or self._more_waits:
            self.wake()

    async def _seconds_to_next(self) -> float:
        wait = await lanes.seconds_to_next(self._db, self._dispatcher.full(), self._low)
        if wait is None:
            return self.pace.poll
        # What is due but could not be taken is held by another worker, or waits for the sweep.
        return min(self.pace.poll, wait) if wait > 0 else self.pace.poll / 4
