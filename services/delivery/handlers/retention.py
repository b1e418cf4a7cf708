"""What is kept no longer: told of, counted, deleted."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta

from libs.db import Database
from libs.obs.metrics import DELIVERY_OUTCOMES
from services.delivery.sending.settled import publish
from services.delivery.store import lanes, retention

log = logging.getLogger(__name__)

BATCH = 1000


class Retention:
    """Keeps messages for so long. Each step is a short transaction, safe in every replica."""

    def __init__(self, db: Database, kept: timedelta) -> None:
        self._db = db
        self._seconds = kept.total_seconds()

    async def run(self) -> None:
        """All that is due."""
        while await self.expire_held() == BATCH:
            pass
        while await self.delete_old() == BATCH:
            pass
        async with self._db.transaction() as tx:
            await retention.forget_past(tx, self._seconds)
        async with self._db.transaction() as tx:
            healed = await lanes.heal(tx)
        if healed:
            log.warning("lanes had hidden what waits in them", extra={"lanes": healed})

    async def expire_held(self) -> int:
        """Ends what was held for too long; answers how much."""
        async with self._db.transaction() as tx:
            settled = await retention.expire_held(tx, self._seconds, BATCH)
            publish(tx, settled)
        for channel, count in Counter(one.channel for one in settled).items():
            DELIVERY_OUTCOMES.labels(channel, "expired").inc(count)
        return len(settled)

    async def delete_old(self) -> int:
        """Deletes old messages of which nothing waits; answers how many."""
        async with self._db.transaction() as tx:
            return await retention.delete_old(tx, self._seconds, BATCH)
