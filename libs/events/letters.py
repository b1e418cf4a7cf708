"""Dead letters: given up in the transaction that moves on, and driven again by hand."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, not_found
from libs.events import store, store_letters
from libs.events.batch import Table, Work
from libs.events.catalog import DLQ
from libs.events.lanes import Options
from libs.events.outbox import Outbox
from libs.events.record import Record, Stored
from libs.events.store_letters import DeadLetter
from libs.ids import Ids, derive
from libs.obs import metrics


class LimitReachedError(Exception):
    """The partition had so many dead letters that something else must be wrong."""


class Letters:
    """The dead letters of one consumer."""

    def __init__(
        self, consumer: str, db: Database, ids: Ids, clock: Clock, options: Options
    ) -> None:
        self._consumer = consumer
        self._db = db
        self._ids = ids
        self._clock = clock
        self._options = options

    async def bury(self, key: int, work: Work, expected: int, error: str) -> None:
        """Gives up the one record of `work`, and moves on.

        It is kept in the database, and goes to the topic's dead letter queue. Raises
        LimitReachedError instead, once the partition has had its share.
        """
        (stored,) = work.records
        now = self._clock.now()
        async with self._db.transaction() as tx:
            move = store.Move(work.partition, expected, work.next)
            if not await store.claim(tx, key, [move], [stored.record.id], now):
                return  # it was handled before
            since = now - self._options.dead_letter_window
            count = await store_letters.letters_since(tx, key, work.partition, since)
            if count >= self._options.dead_letter_limit:
                raise LimitReachedError(f"{count} dead letters; the last: {error}")
            await store_letters.bury(tx, key, self._ids.uuid(), stored, error, now)
            await self._publish(tx, stored, error)
        metrics.DEAD_LETTERS.labels(self._consumer).inc()

    async def redrive(self, key: int, letter: UUID, table: Table) -> DeadLetter:
        """Handles it once more. Raises AppError, Poison, and what the handler raises."""
        async with self._db.transaction() as tx:
            found = await store_letters.open_letter(tx, key, letter)
            if found is None:
                raise not_found(f"dead letter {letter}")
            if found.redrive_time is not None:
                raise AppError(Kind.PRECONDITION, "already_redriven", "it was handled already")
            await store.clear(tx, key, found.record.id)
            await table.handle(tx, [Stored(found.offset, found.record)])
            now = self._clock.now()
            await store_letters.redriven(tx, key, found, now)
        return replace(found, redrive_time=now)

    async def _publish(self, tx: Tx, stored: Stored, error: str) -> None:
        outbox = self._db.outbox
        if not isinstance(outbox, Outbox):
            return
        record = stored.record
        added = {
            "pq-consumer": self._consumer,
            "pq-error": error,
            "pq-event-id": str(record.id),
            "pq-offset": str(stored.offset),
        }
        dead = Record(
            id=derive(record.id, "dlq", self._consumer),
            topic=record.topic + DLQ,
            partition=record.partition,
            key=record.key,
            type=record.type,
            time=self._clock.now(),
            source=outbox.source,
            payload=record.payload,
            headers={**record.headers, **added},
        )
        await outbox.write(tx.connection, [dead])
        tx.after_commit(outbox.wake)
