"""What is kept no longer."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from libs.db import Tx
from services.delivery.domain.model import DeliveryState, Settled
from services.delivery.domain.outcome import HELD_TOO_LONG
from services.delivery.store import lanes, order, sweeps

_OVERDUE = (
    "endpoint = l.endpoint and state = 1 and worker is null"
    " and due < now() - make_interval(secs => {})"
)
_HOLDING = f"""
select endpoint from lanes l
where exists (select from deliveries where {_OVERDUE.format("$1")})
order by endpoint limit $2
"""
_EXPIRE = sweeps.SETTLE.format(
    picked="select d.message, d.endpoint from unnest($5::uuid[]) as l(endpoint)"
    " cross join lateral (select message, endpoint from deliveries"
    f" where {_OVERDUE.format('$4')} order by due limit $1 for update skip locked) d limit $1"
)
_OLD = """
select id from messages m where create_time < now() - make_interval(secs => $1)
    and not exists (select from deliveries d where d.message = m.id and d.state = 1)
limit $2 for update skip locked
"""
# By message; what e-mail providers told of them has a term of its own.
_ABOUT_MESSAGES = ("deliveries", "attempts", "email_sends")


async def expire_held(tx: Tx, retention: float, limit: int) -> list[Settled]:
    """Ends at most `limit` deliveries that have been due for `retention` seconds and are held."""
    rows = await tx.fetch(_HOLDING, retention, limit)
    endpoints: Sequence[UUID] = [row["endpoint"] for row in rows]
    await lanes.ripen(tx, dict.fromkeys(endpoints, 0.0))
    ended = await tx.fetch(
        _EXPIRE, limit, DeliveryState.EXPIRED, HELD_TOO_LONG, retention, endpoints
    )
    await order.promote(tx, [(row["message"], row["endpoint"]) for row in ended])
    return [sweeps.settled(row, DeliveryState.EXPIRED, HELD_TOO_LONG) for row in ended]


async def delete_old(tx: Tx, retention: float, limit: int) -> int:
    """Deletes at most `limit` messages older than `retention` seconds of which nothing waits, with
    all that is told of them; answers how many."""
    ids = [row["id"] for row in await tx.fetch(_OLD, retention, limit)]
    for table in _ABOUT_MESSAGES:
        await tx.execute(f"delete from {table} where message = any($1::uuid[])", ids)
    await tx.execute("delete from messages where id = any($1::uuid[])", ids)
    return len(ids)


async def forget_past(tx: Tx, retention: float) -> None:
    """Forgets holds and operations that ended so long ago, and that there were addresses."""
    for table, end in (
        ("lane_holds", "end_time"),
        ("delivery_operations", "finish_time"),
        ("former_email_addresses", "delete_time"),
    ):
        await tx.execute(
            f"delete from {table} where {end} < now() - make_interval(secs => $1)", retention
        )
