"""What is done with a mail that came back: it is read, kept once, and told of."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.clock import Clock
from libs.db import Database
from libs.ids import Ids
from libs.obs.metrics import EMAIL_BOUNCES
from services.delivery.domain.bounces import Bounce, parse
from services.delivery.domain.email_events import Stored
from services.delivery.store import bounces as store

KEPT_BYTES = 256 * 1024
RETENTION = timedelta(days=90)
_BATCH = 500

# Is given each mail after it was kept, and again when the same comes again: what it does with the
# same bytes it does once.
PassOn = Callable[[bytes], Awaitable[Sequence[Stored]]]


@dataclass(frozen=True, slots=True)
class Received:
    """A mail that was taken. `new` is False where the same bytes had come before; `bounces` is
    what was read then, `events` what is told of it."""

    id: UUID
    new: bool
    bounces: Sequence[Bounce]
    events: Sequence[Stored] = ()


class Bounces:
    """Takes mails from wherever they come; the same bytes count once."""

    def __init__(self, db: Database, clock: Clock, ids: Ids, pass_on: PassOn) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._pass_on = pass_on

    async def received(self, raw: bytes, source: str = "raw") -> Received:
        """Reads and keeps a mail. One in which nothing can be read is kept with no rows, for
        people. Raises what the database or `pass_on` raises: then the sender is to try again."""
        digest = hashlib.sha256(raw).digest()
        found = parse(raw)
        id = self._ids.uuid()
        async with self._db.transaction() as tx:
            kept = raw[:KEPT_BYTES]
            new = await store.insert(
                tx, id, digest, source, kept, len(raw), found, self._clock.now()
            )
            before = None if new else await store.find(tx, digest)
        events = await self._pass_on(raw) if found else ()
        if before is not None:
            return Received(before[0], new=False, bounces=before[1], events=events)
        for bounce in found:
            EMAIL_BOUNCES.labels(bounce.reason.value, "hard" if bounce.hard else "soft").inc()
        return Received(id, new=True, bounces=found, events=events)

    async def sweep(self) -> None:
        """Forgets mails that are older than 90 days."""
        before = self._clock.now() - RETENTION
        while True:
            async with self._db.transaction() as tx:
                if await store.delete_before(tx, before, _BATCH) < _BATCH:
                    return
