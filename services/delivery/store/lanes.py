"""Lanes: which endpoint has something to send, and when.

The one rule that keeps a wake-up from being lost: a lane's `due` is never later than its earliest
waiting delivery, or the end of its hold or its last look where those are later. Who makes a
delivery wait calls `ripen` first, which locks the lane until its transaction ends; who moves `due`
later holds that lock, and looks in a statement of its own, whose snapshot has all that was
committed before the lock was had. Lanes are locked in order of endpoint, and before any delivery.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from libs.db import Reader, Tx

_RIPEN = """
with locked as (
    select l.endpoint, a.delay
    from lanes l join unnest($1::uuid[], $2::float8[]) as a(endpoint, delay) using (endpoint)
    order by l.endpoint for no key update of l
)
update lanes l set
    due = case when k.delay is null then l.due else greatest(
        least(coalesce(l.due, 'infinity'), now() + make_interval(secs => k.delay)), l.hold_until
    ) end,
    low_due = case
        when k.delay is null then l.low_due
        when l.low_due is not null and not $3 then least(l.low_due, now())
    end
from locked k where l.endpoint = k.endpoint
returning l.endpoint
"""

_LOCK_RIPE = """
select endpoint from lanes
where open and due <= now() and due >= $3 and endpoint <> all($1::uuid[])
order by due limit $2 for no key update skip locked
"""

_TIGHTEN = """
with earliest as materialized (
    select l.endpoint, (
        select d.due from deliveries d
        where d.endpoint = l.endpoint and d.state = 1 and d.worker is null
            and d.due >= coalesce(l.low_due, '-infinity')
        order by d.due limit 1
    ) as due
    from lanes l where l.endpoint = any($1::uuid[])
)
update lanes l set low_due = least(e.due, now()),
    due = case when e.due is not null then greatest(e.due, l.hold_until, now()) end
from earliest e where l.endpoint = e.endpoint
"""

_HEAL = """
with hidden as (
    select endpoint from lanes l
    where exists (
        select from deliveries d where d.endpoint = l.endpoint and d.state = 1
            and d.worker is null and d.due < l.low_due
    )
    for no key update of l skip locked
)
update lanes l set low_due = null, due = greatest(now(), l.hold_until)
from hidden h where l.endpoint = h.endpoint
returning l.endpoint
"""

_HOLD = """
update lanes l set hold_until = h.until, hold_reason = h.reason,
    due = case when l.due is not null then h.until end
from unnest($1::uuid[], $2::timestamptz[], $3::text[]) as h(endpoint, until, reason)
where l.endpoint = h.endpoint
"""

_FREE = """
update lanes l set hold_until = null, hold_reason = null,
    due = case when l.due is not null then now() end
where l.endpoint = any($1::uuid[]) and l.hold_reason = $2
"""

# No lane is due before this; sent as PostgreSQL's -infinity.
EVER = datetime.min.replace(tzinfo=UTC)
_LONGEST_TRANSACTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Hold:
    """Until when nothing is taken from a lane, and why: a stable word."""

    until: datetime
    reason: str


async def ripen(tx: Tx, delays: Mapping[UUID, float | None], *, given_back: bool = False) -> None:
    """Has each endpoint looked at within its delay, in seconds from now; None only locks its lane.
    What begins to wait is due now or later, unless it is `given_back`.

    One without a lane has been deleted: what is about to wait for it is noted to be called off.
    """
    if not delays:
        return
    rows = await tx.fetch(_RIPEN, list(delays), list(delays.values()), given_back)
    if gone := delays.keys() - {row["endpoint"] for row in rows}:
        await note_removed(tx, gone)


async def note_removed(tx: Tx, endpoints: Collection[UUID]) -> None:
    """Has the sweep call off what waits for these endpoints, which are gone."""
    await tx.execute(
        "insert into removals (endpoint, remove_time) select unnest($1::uuid[]), now()"
        " on conflict (endpoint) do nothing",
        sorted(endpoints),
    )


async def lock_ripe(tx: Tx, full: Collection[UUID], limit: int, low: datetime = EVER) -> list[UUID]:
    """Locks at most `limit` open lanes that are due, those looked at longest ago first, less those
    in `full` and those that somebody else holds. None is due before `low`."""
    rows = await tx.fetch(_LOCK_RIPE, list(full), limit, low)
    return [row["endpoint"] for row in rows]


async def low_water(reader: Reader) -> datetime:
    """A time before which no open lane is due, and none will be: transactions are shorter than a
    minute, and a lane becomes due at its transaction's time or later."""
    low: datetime = await reader.fetchval(
        "select coalesce((select due from lanes where open and due is not null"
        " order by due limit 1), now())"
    )
    now: datetime = await reader.fetchval("select now()")
    return min(low, now) - _LONGEST_TRANSACTION


async def tighten(tx: Tx, endpoints: Collection[UUID]) -> None:
    """Sets each lane's `due` to that of its earliest waiting delivery. Needs their locks."""
    await tx.execute(_TIGHTEN, list(endpoints))


async def hold(tx: Tx, holds: Mapping[UUID, Hold]) -> None:
    """Keeps lanes from being looked at for a while, instead of any earlier hold. Needs their
    locks."""
    if holds:
        untils = [hold.until for hold in holds.values()]
        await tx.execute(_HOLD, list(holds), untils, [hold.reason for hold in holds.values()])


async def free(tx: Tx, endpoints: Collection[UUID], reason: str) -> None:
    """Ends those holds that have this reason. Needs the lanes' locks."""
    if endpoints:
        await tx.execute(_FREE, list(endpoints), reason)


async def note_hold(tx: Tx, endpoint: UUID, reason: str, until: datetime | None = None) -> None:
    """Keeps on record that a lane is held from now on."""
    await tx.execute(
        "insert into lane_holds (endpoint, start_time, end_time, reason)"
        " values ($1, now(), $2, $3)",
        endpoint,
        until,
        reason,
    )


async def note_end(tx: Tx, endpoint: UUID, reasons: Collection[str]) -> None:
    """Keeps on record that it is held no more."""
    await tx.execute(
        "update lane_holds set end_time = now()"
        " where endpoint = $1 and end_time is null and reason = any($2::text[])",
        endpoint,
        list(reasons),
    )


async def heal(tx: Tx) -> int:
    """Has lanes look again from their beginning that hide something; answers how many did. A
    version of us from before `low_due` may have given back what it held."""
    return len(await tx.fetch(_HEAL))


async def seconds_to_next(
    reader: Reader, full: Collection[UUID], low: datetime = EVER
) -> float | None:
    """Seconds until the next lane is due, less those in `full`; None where none will be. None is
    due before `low`."""
    row = await reader.fetchrow(
        "select extract(epoch from due - now())::float8 as wait from lanes"
        " where open and due >= $2 and endpoint <> all($1::uuid[]) order by due limit 1",
        list(full),
        low,
    )
    return row["wait"] if row else None
