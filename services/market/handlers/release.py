"""Publishes a blocked day after all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from libs.clock import Clock
from libs.db import Database, Tx
from libs.ids import Ids
from services.market.domain import changes
from services.market.domain.changes import Known
from services.market.domain.imports import Snapshot
from services.market.domain.prices import MARKET
from services.market.handlers import events
from services.market.handlers.events import Changes
from services.market.store import cards, latest, pipeline, plans, quotes, snapshots, sources
from services.market.store.sources import Source
from services.market.store.wire import day_number


class Release:
    """The use case."""

    def __init__(self, db: Database, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids

    async def __call__(self, snapshot: Snapshot) -> bool:
        """Tells of the version's changes and has its signals made; False where it is not held."""
        now = self._clock.now()
        source = (await sources.read_all(self._db))[snapshot.source]
        async with self._db.transaction() as tx:
            await sources.lock(tx, source)
            await plans.expect(tx, snapshot.quote_count)
            if not await snapshots.release(tx, source.number, snapshot, now):
                return False
            released = replace(snapshot, release_time=now)
            events.publish(
                tx, released, source.terms.currency, await _changes(tx, source, released)
            )
            await pipeline.enqueue(tx, self._ids.uuid(), source.number, released)
        return True


async def _changes(tx: Tx, source: Source, snapshot: Snapshot) -> Changes:
    """What the version changed. News is what no later day has said anything of."""
    numbers, cents = await quotes.read_day(tx, source.number, snapshot.day)
    market = cents[:, MARKET]
    previous = await quotes.known_before(tx, source.number, snapshot.day, numbers)
    _, known = await latest.known(tx, source.number, numbers)
    rows = np.flatnonzero(changes.moved(market, previous))
    ids = await cards.ids(tx, numbers[rows].tolist())
    return Changes(
        [ids[card] for card in numbers[rows].tolist()],
        market[rows],
        Known(previous.days[rows], previous.cents[rows]),
        (known.days <= day_number(snapshot.day))[rows],
    )
