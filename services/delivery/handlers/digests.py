"""Alerts of a day in one e-mail, for the addresses that want them so."""

from __future__ import annotations

from uuid import UUID

import orjson

from libs.clock import Clock
from libs.db import Database, Tx
from libs.ids import Ids
from services.delivery.domain.email_addresses import ALERT_DIGEST
from services.delivery.domain.model import Message, Target
from services.delivery.handlers import payload
from services.delivery.handlers.addressed import send_to
from services.delivery.sending.worker import Worker
from services.delivery.store import digests, emails

# Addresses in one transaction.
BATCH = 50
# Alerts in one e-mail; more go in the next, at once. Gmail clips an e-mail after 102 KB of HTML,
# and one of these has about 900 bytes.
MOST = 100


class Digests:
    """Sends what is due. What an e-mail tells of waits no longer once its message is stored, and
    not before: both are one transaction, so that replicas and kills repeat nothing."""

    def __init__(self, db: Database, worker: Worker, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._worker = worker
        self._clock = clock
        self._ids = ids

    async def run(self) -> None:
        """Sends all that is due now."""
        while await self._round() == BATCH:
            pass

    async def _round(self) -> int:
        now = self._clock.now()
        async with self._db.transaction() as tx:
            due = await digests.lock_due(tx, now, BATCH)
            targets = await emails.targets(tx, due)
            made = [
                (message, targets[id])
                for id in due
                if (message := await self._one(tx, id, targets[id])) is not None
            ]
            if made:
                await send_to(tx, self._worker, made)
        return len(due)

    async def _one(self, tx: Tx, id: UUID, target: Target) -> Message | None:
        now = self._clock.now()
        found = await digests.take(tx, id, MOST)
        address = await emails.find(tx, id)
        if len(found) < MOST:
            digest = address.digest if address else None
            await digests.set_next(tx, id, digest.next(now) if digest else None)
        if not found:
            return None
        told = {"alerts": [orjson.loads(one)["data"] for one in found]}
        return Message(
            id=self._ids.uuid(),
            account=target.account,
            event_type=ALERT_DIGEST,
            payload=payload.render(ALERT_DIGEST, payload.shown(now), told),
            create_time=now,
            deliver_by=None,
        )
