"""What becomes of deliveries that nobody sends: expired, of removed endpoints, of dead workers."""

from __future__ import annotations

import logging

from libs.db import Database
from libs.obs.metrics import DELIVERY_OUTCOMES
from services.delivery.domain.outcome import SECRET_UNREADABLE
from services.delivery.sending.settled import publish
from services.delivery.store import endpoint_secrets, endpoints, sweeps, workers
from services.delivery.store.vault import Vault

log = logging.getLogger(__name__)

BATCH = 1000


class Sweeps:
    """Each is one short transaction, safe to run in every replica at once."""

    def __init__(self, db: Database, vault: Vault, lifetime: float) -> None:
        self._db = db
        self._vault = vault
        self._lifetime = lifetime

    async def run(self) -> int:
        """All of them once; answers how many deliveries began to wait again."""
        given_back = await self.retire_dead()
        while await self.expire() == BATCH:
            pass
        while await self.cancel_removed():
            pass
        return given_back

    async def retire_dead(self) -> int:
        """Gives back what dead workers held."""
        async with self._db.transaction() as tx:
            dead = await workers.lock_dead(tx, self._lifetime)
            given_back = await workers.retire(tx, dead) if dead else 0
        if dead:
            log.warning(
                "workers died; others send what they held",
                extra={"workers": len(dead), "deliveries": given_back},
            )
        return given_back

    async def expire(self) -> int:
        """Ends waiting deliveries past their deliver-by; answers how many."""
        async with self._db.transaction() as tx:
            settled = await sweeps.expire(tx, BATCH)
            publish(tx, settled)
        DELIVERY_OUTCOMES.labels("webhook", "expired").inc(len(settled))
        return len(settled)

    async def cancel_removed(self) -> bool:
        """Calls off deliveries of one removed endpoint; answers whether there was one."""
        async with self._db.transaction() as tx:
            endpoint = await sweeps.next_removal(tx)
            if endpoint is None:
                return False
            settled = await sweeps.cancel_removed(tx, endpoint, BATCH)
            publish(tx, settled)
            if len(settled) < BATCH:
                await sweeps.forget_removal(tx, endpoint)
        DELIVERY_OUTCOMES.labels("webhook", "cancelled").inc(len(settled))
        return True

    async def reseal(self) -> int:
        """Seals secrets anew that an older key of the operator's holds; answers how many."""
        done, last = 0, None
        while True:
            async with self._db.transaction() as tx:
                count, last = await endpoint_secrets.reseal(tx, self._vault, last, BATCH)
            done += count
            if last is None:
                return done

    async def revive(self) -> int:
        """Sends again to endpoints that were disabled because no key opened their secrets, where
        one does now; answers how many."""
        async with self._db.transaction() as tx:
            return await endpoints.revive(tx, self._vault, SECRET_UNREADABLE)

    async def complete(self) -> int:
        """Makes the key pairs that are missing; answers how many."""
        done = 0
        while True:
            async with self._db.transaction() as tx:
                count = await endpoint_secrets.complete(tx, self._vault, BATCH)
            done += count
            if count < BATCH:
                return done
