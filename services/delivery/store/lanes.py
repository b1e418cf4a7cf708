"""Lanes: which endpoint has something to send, and when.

The one rule that keeps a wake-up from being lost: a lane's `due` is never later than its earliest
waiting delivery. Who makes a delivery wait calls `ripen` first, which locks the lane until its
transaction ends; who moves `due` later holds that lock, and looks in a statement of its own, whose
snapshot has all that was committed before the lock was had. Lanes are locked in order of endpoint,
and before any delivery.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from libs.db import Reader, Tx

_RIPEN = """
with locked as (
    select l.endpoint, a.delay
    from lanes l join unnest($1::uuid[], $2::float8[]) as a(endpoint, delay) using (endpoint)
    order by l.endpoint for no key update of l
)
update lanes l set due = least(coalesce(l.due, 'infinity'), now() + make_interval(secs => k.delay))
from locked k where l.endpoint = k.endpoint
returning l.endpoint
"""

_LOCK_RIPE = """
select endpoint from lanes
where open and due <= now() and endpoint <> all($1::uuid[])
order by due limit $2 for no key update skip locked
"""

_TIGHTEN = """
update lanes l set due = (
    select min(d.due) from deliveries d
    where d.endpoint = l.endpoint and d.state = 1 and d.worker is null
)
where l.endpoint = any($1::uuid[])
"""


async def ripen(tx: Tx, delays: Mapping[UUID, float]) -> None:
    """Has each endpoint looked at within its delay, in seconds from now.

    One without a lane has been deleted: what is about to wait for it is noted to be called off.
    """
    if not delays:
        return
    rows = await tx.fetch(_RIPEN, list(delays), list(delays.values()))
    if gone := delays.keys() - {row["endpoint"] for row in rows}:
        await note_removed(tx, gone)


async def note_removed(tx: Tx, endpoints: Collection[UUID]) -> None:
    """Has the sweep call off what waits for these endpoints, which are gone."""
    await tx.execute(
        "insert into removals (endpoint, remove_time) select unnest($1::uuid[]), now()"
        " on conflict (endpoint) do nothing",
        sorted(endpoints),
    )


async def lock_ripe(tx: Tx, full: Collection[UUID], limit: int) -> list[UUID]:
    """Locks at most `limit` open lanes that are due, the longest due first, less those in `full`
    and those that somebody else holds."""
    rows = await tx.fetch(_LOCK_RIPE, list(full), limit)
    return [row["endpoint"] for row in rows]


async def tighten(tx: Tx, endpoints: Collection[UUID]) -> None:
    """Sets each lane's `due` to that of its earliest waiting delivery. Needs their locks."""
    await tx.execute(_TIGHTEN, list(endpoints))


async def seconds_to_next(reader: Reader, full: Collection[UUID]) -> float | None:
    """Seconds until the next lane is due, less those in `full`; None where none will be."""
    row = await reader.fetchrow(
        "select extract(epoch from due - now())::float8 as wait from lanes"
        " where open and due is not null and endpoint <> all($1::uuid[]) order by due limit 1",
        list(full),
    )
    return row["wait"] if row else None
