"""What of alerts goes with an account, and with an alert."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from libs.api import idempotency
from libs.api.erasure import Left
from libs.clock import Clock
from libs.db import Database, Tx
from services.alerts.store import removal

BATCH = 500
# No evaluation takes so long: whatever read a deleted alert has written by then.
SETTLED = timedelta(minutes=10)


def scope(account: UUID) -> str:
    """Whose request ids they are."""
    return f"accounts/{account}"


class Removals:
    """Each step is one short transaction, safe to run in every replica at once."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def erase(self, tx: Tx, account: UUID) -> Left:
        """Takes away some of what an account has; answers what is left."""
        await idempotency.forget(tx, scope(account))
        found = await removal.of_account(tx, account, BATCH)
        await removal.delete(tx, found, self._clock.now())
        return Left.MORE if len(found) == BATCH else Left.NOTHING

    async def sweep(self) -> None:
        """Takes away what was written about alerts after they were deleted."""
        before = self._clock.now() - SETTLED
        while True:
            async with self._db.transaction() as tx:
                if await removal.sweep(tx, before, BATCH) < BATCH:
                    return
