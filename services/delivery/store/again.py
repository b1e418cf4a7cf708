"""Deliveries that are called off, or sent again, because somebody said so.

Each takes the lane's lock first, as whoever makes a delivery wait or lets the next of its key go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from libs.db import Tx
from services.delivery.domain.model import DeliveryState, Settled
from services.delivery.domain.outcome import CANCELLED, COALESCED
from services.delivery.store import lanes, order, sweeps

_COALESCE = sweeps.SETTLE.format(
    picked="select d.message, d.endpoint from deliveries d"
    " join unnest($1::uuid[], $4::text[], $5::uuid[]) as a(endpoint, key, newest)"
    " on d.endpoint = a.endpoint and d.coalesce_key = a.key and d.message <> a.newest"
    " where d.state = 1 and d.worker is null for update of d"
)
_CANCEL = sweeps.SETTLE.format(
    picked="select message, endpoint from deliveries where endpoint = $1"
    " and message = any($4::uuid[]) and state = 1 and worker is null for update"
)
_WAITING = sweeps.SETTLE.format(
    picked="select d.message, d.endpoint from deliveries d join messages m on m.id = d.message"
    " where d.endpoint = $1 and d.state = 1 and d.worker is null and m.create_time < $4"
    " limit $5 for update of d"
)
_AGAIN = """
update deliveries set state = 1, reason = '', settle_time = null, deliver_by = null,
    round = coalesce(round, 0) + 1, attempts_before = attempt_count,
    due = case when order_key is null then now() else 'infinity' end,
    order_number = case when order_key is not null then nextval('delivery_order') end
where endpoint = $1 and message = any($2::uuid[]) and state = any($3::smallint[])
returning message
"""
_NOW = """
update deliveries set due = now()
where endpoint = $1 and message = $2 and state = 1 and worker is null and due < 'infinity'
"""


async def coalesce(tx: Tx, newest: Mapping[tuple[UUID, str], UUID]) -> list[Settled]:
    """Calls off what waits under the same endpoint and key as these messages. Needs the locks of
    the lanes."""
    keys = list(newest)
    rows = await tx.fetch(
        _COALESCE,
        [endpoint for endpoint, _ in keys],
        DeliveryState.CANCELLED,
        COALESCED,
        [key for _, key in keys],
        list(newest.values()),
    )
    await order.promote(tx, [(row["message"], row["endpoint"]) for row in rows])
    return [sweeps.settled(row, DeliveryState.CANCELLED, COALESCED) for row in rows]


async def cancel(tx: Tx, endpoint: UUID, messages: Sequence[UUID]) -> list[Settled]:
    """Calls off those of these deliveries that wait."""
    await lanes.ripen(tx, {endpoint: 0.0})
    rows = await tx.fetch(_CANCEL, endpoint, DeliveryState.CANCELLED, CANCELLED, list(messages))
    await order.promote(tx, [(row["message"], row["endpoint"]) for row in rows])
    return [sweeps.settled(row, DeliveryState.CANCELLED, CANCELLED) for row in rows]


async def cancel_waiting(tx: Tx, endpoint: UUID, before: datetime, limit: int) -> list[Settled]:
    """Calls off at most `limit` that wait, of messages made before a time."""
    await lanes.ripen(tx, {endpoint: 0.0})
    rows = await tx.fetch(_WAITING, endpoint, DeliveryState.CANCELLED, CANCELLED, before, limit)
    await order.promote(tx, [(row["message"], row["endpoint"]) for row in rows])
    return [sweeps.settled(row, DeliveryState.CANCELLED, CANCELLED) for row in rows]


async def redeliver(
    tx: Tx, endpoint: UUID, messages: Sequence[UUID], states: Sequence[DeliveryState]
) -> int:
    """Sends those deliveries again that are in one of these states, with a schedule that begins
    anew and no deadline; answers how many."""
    await lanes.ripen(tx, {endpoint: 0.0})
    rows = await tx.fetch(_AGAIN, endpoint, list(messages), [int(state) for state in states])
    await order.promote(tx, [(row["message"], endpoint) for row in rows])
    return len(rows)


async def hurry(tx: Tx, endpoint: UUID, message: UUID) -> None:
    """Makes one that waits for its next attempt due now."""
    await lanes.ripen(tx, {endpoint: 0.0})
    await tx.execute(_NOW, endpoint, message)
