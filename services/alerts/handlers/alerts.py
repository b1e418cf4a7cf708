"""What an account can do with its alerts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from libs.api.filters import Where
from libs.api.wire import resource_name
from libs.clock import Clock
from libs.db import Reader, Tx
from libs.errors import not_found
from libs.ids import Ids
from services.alerts import errors
from services.alerts.domain.alerts import Alert, Firing
from services.alerts.domain.conditions import Condition
from services.alerts.market import Cards
from services.alerts.store import alerts as store
from services.alerts.store import removal


@dataclass(frozen=True, slots=True)
class NewAlert:
    """What an alert is asked to be; `card` is the id without "cards/"."""

    card: str
    condition: Condition
    note: str
    deliver_within: timedelta | None


@dataclass(frozen=True, slots=True)
class Target:
    """An alert that somebody means, as it was when they last saw it, if they said."""

    account: UUID
    id: UUID
    etag: str = ""


class Alerts:
    """The use cases; each mutation runs in its caller's transaction."""

    def __init__(self, cards: Cards, clock: Clock, ids: Ids, max_active: int) -> None:
        self._cards = cards
        self._clock = clock
        self._ids = ids
        self._max_active = max_active

    async def check_card(self, asked: NewAlert) -> None:
        """Raises AppError unless the card exists and is quoted in the level's currency.

        Apart from `create`, because no transaction may be open while another service is asked.
        """
        quoted = await self._cards.currency(asked.card)
        currency = asked.condition.currency
        if quoted and currency and quoted != currency:
            field = f"alert.condition.{asked.condition.kind.public}"
            raise errors.currency_mismatch(field, currency, quoted)

    async def create(self, tx: Tx, account: UUID, asked: NewAlert) -> Alert:
        """Adds an alert. Raises AppError at the account's limit."""
        await self._make_room(tx, account)
        now = self._clock.now()
        alert = Alert(
            id=self._ids.uuid(),
            account=account,
            card=asked.card,
            condition=asked.condition,
            note=asked.note,
            deliver_within=asked.deliver_within,
            active=True,
            create_time=now,
            watch_time=now,
            update_time=now,
        )
        await store.insert(tx, alert, self._cards.display_name(asked.card))
        return alert

    async def get(self, reader: Reader, account: UUID, id: UUID) -> Alert:
        """Raises AppError (NOT_FOUND), also for another account's."""
        return _found(await store.get(reader, account, id), id)

    async def page(
        self, reader: Reader, account: UUID, where: Where, before: UUID | None, limit: int
    ) -> list[Alert]:
        """At most `limit` alerts, newest first. `where` counts its parameters from $4."""
        return await store.list_alerts(reader, account, where, before, limit)

    async def deactivate(self, tx: Tx, target: Target) -> Alert:
        """Stops an alert; one that is stopped stays as it is."""
        alert = await self._locked(tx, target)
        return alert if not alert.active else await self._save(tx, replace(alert, active=False))

    async def activate(self, tx: Tx, target: Target) -> Alert:
        """Lets an alert watch again. Raises AppError at the account's limit."""
        await store.lock_account(tx, target.account)
        alert = await self._locked(tx, target)
        if alert.active:
            return alert
        await self._make_room(tx, target.account)
        return await self._save(tx, replace(alert, active=True, watch_time=self._clock.now()))

    async def snooze(self, tx: Tx, target: Target, until: datetime | None) -> Alert:
        """Keeps an alert quiet until then; None ends the quiet."""
        alert = await self._locked(tx, target)
        if alert.snooze_time == until:
            return alert
        return await self._save(tx, replace(alert, snooze_time=until))

    async def delete(self, tx: Tx, target: Target) -> None:
        """Takes an alert away with its firings. An evaluation that has read it may write one more
        of them, and tell of it; what it wrote goes as well, in a while."""
        await self._locked(tx, target)
        await removal.delete(tx, [target.id], self._clock.now())

    async def firings(
        self, reader: Reader, account: UUID, id: UUID, before: date | None, limit: int
    ) -> list[Firing]:
        """At most `limit` firings, newest first. Raises AppError (NOT_FOUND)."""
        await self.get(reader, account, id)
        return await store.list_firings(reader, id, before, limit)

    async def _make_room(self, tx: Tx, account: UUID) -> None:
        await store.lock_account(tx, account)
        if await store.count_active(tx, account, self._max_active) >= self._max_active:
            raise errors.too_many_alerts(self._max_active)

    async def _locked(self, tx: Tx, target: Target) -> Alert:
        alert = _found(await store.get_locked(tx, target.account, target.id), target.id)
        if target.etag and target.etag != alert.etag:
            raise errors.etag_mismatch()
        return alert

    async def _save(self, tx: Tx, alert: Alert) -> Alert:
        saved = replace(alert, update_time=self._clock.now(), revision=alert.revision + 1)
        await store.save(tx, saved)
        return saved


def _found(alert: Alert | None, id: UUID) -> Alert:
    if alert is None:
        raise not_found(resource_name("alerts", "alr", id))
    return alert
