"""Ends of deliveries that no attempt brought about: the deadline, the endpoint's removal."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.db import Tx
from services.delivery.domain.model import Channel, DeliveryState, Settled
from services.delivery.domain.outcome import DELIVER_BY_PASSED, ENDPOINT_DELETED
from services.delivery.store import lanes, order

# Whether a delivery `d` goes to an e-mail address, which may be gone.
IS_ADDRESS = (
    "(exists (select from email_addresses a where a.id = d.endpoint)"
    " or exists (select from former_email_addresses f where f.id = d.endpoint))"
)

# `picked` names the deliveries; the rest is the same for every end.
SETTLE = f"""
with picked as ({{picked}})
update deliveries d set state = $2, reason = $3, due = null, worker = null, lease = null,
    settle_time = now()
from picked p join messages m on m.id = p.message
where d.message = p.message and d.endpoint = p.endpoint
returning d.message, d.endpoint, d.attempt_count, d.settle_time, m.account, m.event_type,
    m.create_time, coalesce(d.round, 0) as round,
    {IS_ADDRESS} as email
"""

_EXPIRED = SETTLE.format(
    picked="select message, endpoint from deliveries where state = 1 and worker is null"
    " and deliver_by <= now() and (order_key is null or endpoint = any($4))"
    " limit $1 for update skip locked"
)
_REMOVED = SETTLE.format(
    picked="select message, endpoint from deliveries where state = 1 and worker is null"
    " and endpoint = $4 limit $1 for update"
)


async def expire(tx: Tx, limit: int) -> list[Settled]:
    """Ends at most `limit` waiting deliveries whose deliver-by has passed."""
    ordered = await tx.fetch(
        "select distinct endpoint from deliveries where state = 1 and worker is null"
        " and deliver_by <= now() and order_key is not null limit 100"
    )
    locked = [row["endpoint"] for row in ordered]
    await lanes.ripen(tx, dict.fromkeys(locked, 0.0))
    rows = await tx.fetch(_EXPIRED, limit, DeliveryState.EXPIRED, DELIVER_BY_PASSED, locked)
    if locked:
        await order.promote(tx, [(row["message"], row["endpoint"]) for row in rows])
    return [settled(row, DeliveryState.EXPIRED, DELIVER_BY_PASSED) for row in rows]


async def cancel_removed(tx: Tx, endpoint: UUID, limit: int) -> list[Settled]:
    """Calls off at most `limit` waiting deliveries of a removed endpoint."""
    rows = await tx.fetch(_REMOVED, limit, DeliveryState.CANCELLED, ENDPOINT_DELETED, endpoint)
    return [settled(row, DeliveryState.CANCELLED, ENDPOINT_DELETED) for row in rows]


async def next_removal(tx: Tx) -> UUID | None:
    """A removed endpoint whose deliveries are still to be called off, locked."""
    endpoint: UUID | None = await tx.fetchval(
        "select endpoint from removals order by remove_time limit 1 for update skip locked"
    )
    return endpoint


async def forget_removal(tx: Tx, endpoint: UUID) -> None:
    """Nothing of a removed endpoint is left. A failure recorded late may have made a breaker."""
    await tx.execute("delete from lane_holds where endpoint = $1", endpoint)
    await tx.execute("delete from breakers where endpoint = $1", endpoint)
    await tx.execute("delete from removals where endpoint = $1", endpoint)


def settled(row: Any, state: DeliveryState, reason: str) -> Settled:
    """What a row of SETTLE says."""
    return Settled(
        message=row["message"],
        endpoint=row["endpoint"],
        account=row["account"],
        event_type=row["event_type"],
        state=state,
        code=reason,
        http_status=None,
        attempt_count=row["attempt_count"],
        create_time=row["create_time"],
        settle_time=row["settle_time"],
        channel=Channel.EMAIL if row["email"] else Channel.WEBHOOK,
        round=row["round"],
    )
