"""Alerts and their firings, one account's at a time."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import asyncpg

from libs.api.filters import Where
from libs.db import Reader, Tx
from services.alerts.domain.alerts import Alert, Firing
from services.alerts.domain.conditions import Condition, Kind

_COLUMNS = (
    "a.id, a.account, c.name as card, a.kind, a.value, a.currency, a.note, a.deliver_within,"
    " a.active, a.create_time, a.watch_time, a.update_time, a.revision, a.snooze_time,"
    " f.fire_time as last_fire_time, coalesce(f.number, 0) as fire_count"
)
_FROM = (
    "from alerts a join watched_cards c on c.id = a.card left join lateral (select number,"
    " fire_time from firings where alert = a.id order by day desc limit 1) f on true"
)
_FIRING = "alert, day, currency, price, previous_price, previous_day, reason, fire_time, import"


async def insert(tx: Tx, alert: Alert, display_name: str = "") -> None:
    """Adds an alert of a card that is called so, where that is known. It watches the prices that
    are accepted from its creation on."""
    card = await _watch(tx, alert.card)
    if display_name:
        await tx.execute(
            "update watched_cards set display_name = $2"
            " where id = $1 and display_name is distinct from $2",
            card,
            display_name,
        )
    await tx.execute(
        "insert into alerts (id, account, card, kind, value, currency, active, note,"
        " deliver_within, create_time, watch_time, update_time, revision)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        alert.id,
        alert.account,
        card,
        alert.condition.kind,
        alert.condition.value,
        alert.condition.currency,
        alert.active,
        alert.note,
        alert.deliver_within,
        alert.create_time,
        alert.watch_time,
        alert.update_time,
        alert.revision,
    )


async def _watch(tx: Tx, name: str) -> int:
    """The card's small key; the card is watched from now on."""
    find = "select id from watched_cards where name = $1"
    add = "insert into watched_cards (name) values ($1) on conflict do nothing returning id"
    key = await tx.fetchval(find, name) or await tx.fetchval(add, name)
    # Nothing from both: another transaction has just added it, and now it can be seen.
    found: int = key or await tx.fetchval(find, name)
    return found


async def lock_account(tx: Tx, account: UUID) -> None:
    """Makes what one account starts serial until the transaction ends, so that its limit holds."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"alerts {account}")


async def count_active(reader: Reader, account: UUID, limit: int) -> int:
    """How many alerts of an account watch; counts no further than `limit`."""
    count: int = await reader.fetchval(
        "select count(*) from (select from alerts where account = $1 and active limit $2) found",
        account,
        limit,
    )
    return count


async def get(reader: Reader, account: UUID, id: UUID) -> Alert | None:
    """The account's alert, if it has it."""
    row = await reader.fetchrow(
        f"select {_COLUMNS} {_FROM} where a.id = $1 and a.account = $2", id, account
    )
    return _alert(row) if row else None


async def get_locked(tx: Tx, account: UUID, id: UUID) -> Alert | None:
    """The account's alert, if it has it, held until the transaction ends."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} {_FROM} where a.id = $1 and a.account = $2 for no key update of a",
        id,
        account,
    )
    return _alert(row) if row else None


async def save(tx: Tx, alert: Alert) -> None:
    """Writes what an owner can change."""
    await tx.execute(
        "update alerts set active = $2, watch_time = $3, snooze_time = $4, update_time = $5,"
        " revision = $6 where id = $1",
        alert.id,
        alert.active,
        alert.watch_time,
        alert.snooze_time,
        alert.update_time,
        alert.revision,
    )


async def list_alerts(
    reader: Reader, account: UUID, where: Where, before: UUID | None, limit: int
) -> list[Alert]:
    """At most `limit` alerts, newest first, made before `before`. `where` counts from $4."""
    rows = await reader.fetch(
        f"select {_COLUMNS} {_FROM} where a.account = $1 and ($2::uuid is null or a.id < $2)"
        f" and {where.sql} order by a.id desc limit $3",
        account,
        before,
        limit,
        *where.params,
    )
    return [_alert(row) for row in rows]


async def list_firings(
    reader: Reader, alert: UUID, before: date | None, limit: int
) -> list[Firing]:
    """At most `limit` firings of an alert, newest first, of days before `before`."""
    rows = await reader.fetch(
        f"select {_FIRING} from firings where alert = $1 and ($2::date is null or day < $2)"
        " order by day desc limit $3",
        alert,
        before,
        limit,
    )
    return [_firing(row) for row in rows]


def _alert(row: asyncpg.Record) -> Alert:
    values = dict(row)
    kind, value, currency = (values.pop(name) for name in ("kind", "value", "currency"))
    return Alert(condition=Condition(Kind(kind), value, currency), **values)


def _firing(row: asyncpg.Record) -> Firing:
    values = dict(row)
    return Firing(previous=values.pop("previous_price"), import_name=values.pop("import"), **values)
