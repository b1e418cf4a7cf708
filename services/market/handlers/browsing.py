"""Searches and counts among all cards, in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from libs.db import Database, is_transient
from services.market.domain.browse import Facet, Labels, Selection, Shelf
from services.market.domain.search import Postings
from services.market.store import shelf as store

log = logging.getLogger(__name__)

PROPERTIES = ("category", "set_id", "rarity", "printing", "sealed")
# How often it is looked whether cards or prices came, in seconds.
_POLL = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """A page of card numbers, how many there are in all, and facets where they were asked for."""

    cards: Sequence[int]
    total: int
    facets: dict[str, list[Facet]]
    set_names: dict[str, str]


class Browsing:
    """Keeps a copy of what cards are and cost; searches never wait for a newer one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._state: tuple[int, int, int] | None = None
        self._shelf: Shelf | None = None
        self._set_names: dict[str, str] = {}
        self._fresh = asyncio.Lock()

    async def keep_fresh(self) -> None:
        """Follows the database until it is cancelled."""
        while True:
            try:
                await self.refresh()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("the search waits for the database", extra={"error": repr(error)})
            await asyncio.sleep(_POLL)

    async def refresh(self) -> Shelf:
        """Reads what changed; answers the newest."""
        async with self._fresh:
            state = await store.state(self._db)
            if self._shelf is None or self._state is None or self._state[:2] != state[:2]:
                rows = await store.rows(self._db)
                self._set_names = {row.set_id: row.set_name for row in rows if row.set_name}
                self._shelf = await asyncio.to_thread(_shelved, rows)
                self._state = (*state[:2], -1)
            if self._state != state:
                prices = await store.prices(self._db, self._shelf.cards)
                self._shelf = replace(self._shelf, prices=prices)
                self._state = state
            return self._shelf

    async def search(self, wanted: Selection, start: int, count: int, facets: int) -> Found:
        """Cards from place `start`, at most `count`; with `facets` values a property, if any."""
        shelf = self._shelf or await self.refresh()
        scores = shelf.scores(wanted)
        ranked = shelf.rank(shelf.choose(wanted, scores), scores)
        return Found(
            shelf.cards[ranked[start : start + count]].tolist(),
            len(ranked),
            shelf.facets(wanted, scores, facets) if facets else {},
            self._set_names,
        )


def _shelved(rows: Sequence[store.Row]) -> Shelf:
    labels = {name: Labels.of([getattr(row, name) for row in rows]) for name in PROPERTIES}
    cards = np.array([row.card for row in rows], np.int32)
    postings = Postings.of([row.text for row in rows])
    return Shelf(cards, labels, postings, np.full(len(rows), -1, np.int32))
