"""Watchlists: made, changed and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from libs.api import idempotency
from libs.api.erasure import Left
from libs.api.wire import resource_name
from libs.clock import Clock
from libs.db import Tx
from libs.errors import AppError, Kind, Violation, invalid, not_found
from libs.ids import Ids
from services.market.store import cards, studies, watchlists
from services.market.store.watchlists import Item, Watchlist

MAX_WATCHLISTS = 100
MAX_ITEMS = 500
PREFIX = "wtc"
_BATCH = 100


def scope(account: UUID) -> str:
    """Whose request ids they are."""
    return f"accounts/{account}"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be; None where it stays. `items` are (card id, note)."""

    display_name: str | None
    items: Sequence[tuple[str, str]] | None


class Watchlists:
    """The use cases; each in a transaction of its caller's."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def create(self, tx: Tx, account: UUID, asked: Change) -> Watchlist:
        """Makes one. Raises AppError: PRECONDITION past the limit, INVALID for an unknown card."""
        # One at a time, so that the limit holds.
        await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 7))", str(account))
        if await watchlists.count(tx, account) >= MAX_WATCHLISTS:
            told = f"at most {MAX_WATCHLISTS} watchlists; delete one first"
            raise AppError(Kind.PRECONDITION, "too_many_watchlists", told)
        now = self._clock.now()
        items = await self._items(tx, asked.items or [])
        made = Watchlist(self._ids.uuid(), asked.display_name or "", now, now, 1, items)
        await watchlists.insert(tx, account, made)
        return made

    async def update(self, tx: Tx, account: UUID, id: UUID, etag: str, change: Change) -> Watchlist:
        """Changes one. Raises AppError: NOT_FOUND, ABORTED for another etag, INVALID."""
        before = await self._locked(tx, account, id, etag)
        items = before.items if change.items is None else await self._items(tx, change.items)
        name = before.display_name if change.display_name is None else change.display_name
        after = replace(
            before,
            display_name=name,
            items=items,
            update_time=self._clock.now(),
            revision=before.revision + 1,
        )
        await watchlists.update(tx, after)
        return after

    async def delete(self, tx: Tx, account: UUID, id: UUID, etag: str) -> None:
        """Deletes one. Raises AppError: NOT_FOUND, ABORTED for another etag."""
        await self._locked(tx, account, id, etag)
        await watchlists.delete(tx, id)

    async def erase(self, tx: Tx, account: UUID) -> Left:
        """Takes away some of what an account has; answers what is left."""
        await idempotency.forget(tx, scope(account))
        gone = await watchlists.erase(tx, account, _BATCH)
        gone = max(gone, await studies.erase(tx, account, _BATCH))
        return Left.MORE if gone == _BATCH else Left.NOTHING

    async def _locked(self, tx: Tx, account: UUID, id: UUID, etag: str) -> Watchlist:
        found = await watchlists.get(tx, account, id, lock=True)
        if found is None:
            raise not_found(resource_name("watchlists", PREFIX, id))
        if etag and etag != found.etag:
            told = "the watchlist has changed since; read it again"
            violation = Violation("etag", told, "etag_mismatch")
            raise AppError(Kind.ABORTED, "etag_mismatch", told, violations=[violation])
        return found

    async def _items(self, tx: Tx, asked: Sequence[tuple[str, str]]) -> tuple[Item, ...]:
        known = await cards.numbers(tx, list({id for id, _ in asked}))
        for place, (id, _) in enumerate(asked):
            if id not in known:
                field = f"watchlist.items[{place}].card"
                raise invalid(field, f"the market has no cards/{id}", "unknown_card")
        return tuple(Item(known[id][0], note) for id, note in asked)
