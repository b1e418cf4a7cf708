"""Alerts go, and with them what evaluation found about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from libs.db import Tx


async def delete(tx: Tx, alerts: Sequence[UUID], now: datetime) -> None:
    """Deletes alerts with their firings, and notes them for `sweep`."""
    await tx.execute(
        "with gone as (delete from alerts where id = any($1) returning id)"
        " insert into removed_alerts (alert, remove_time) select id, $2 from gone"
        " on conflict (alert) do nothing",
        alerts,
        now,
    )
    await _forget(tx, alerts)


async def of_account(tx: Tx, account: UUID, limit: int) -> list[UUID]:
    """At most `limit` alerts of an account, held until the transaction ends."""
    rows = await tx.fetch(
        "select id from alerts where account = $1 order by id limit $2 for update", account, limit
    )
    return [row["id"] for row in rows]


async def sweep(tx: Tx, before: datetime, limit: int) -> int:
    """Takes away what was written about at most `limit` alerts that were deleted before then;
    answers how many there were."""
    rows = await tx.fetch(
        "delete from removed_alerts where alert in (select alert from removed_alerts"
        " where remove_time < $1 order by remove_time limit $2 for update skip locked)"
        " returning alert",
        before,
        limit,
    )
    await _forget(tx, [row["alert"] for row in rows])
    return len(rows)


async def _forget(tx: Tx, alerts: Sequence[UUID]) -> None:
    await tx.execute("delete from firings where alert = any($1)", alerts)
    await tx.execute("delete from holds where alert = any($1)", alerts)
