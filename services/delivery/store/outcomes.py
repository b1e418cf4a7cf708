"""What attempts came to, recorded in batches.

An outcome applies if its delivery is pending and either it shows the delivery's lease or the
receiver took the message: a late failure of a lost lease must not undo what its successor does,
but a message that arrived has arrived. Every attempt is kept, and none twice: a batch whose commit
was in doubt can be recorded again. One without a code asked nobody: it waits, and is no attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from libs.db import Tx
from services.delivery.domain.model import DeliveryState, Settled
from services.delivery.domain.outcome import DELIVER_BY_PASSED, Attempted
from services.delivery.store import lanes

_APPLIES = "d.state = 1 and (o.state in (2, 6) or d.lease = o.lease)"
_TOO_LATE = "o.state = 1 and now() + make_interval(secs => o.delay) >= d.deliver_by"
_ENDS = f"(o.state <> 1 or coalesce({_TOO_LATE}, false))"

_RECORD = f"""
with o as (
    select * from unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[], $6::float8[], $7::text[],
        $8::timestamptz[], $9::interval[], $10::smallint[], $11::text[], $12::bytea[], $13::text[]
    ) as o(message, endpoint, lease, id, state, delay, reason, start_time, duration, http_status,
        code, response_body, remote_address)
), changed as (
    update deliveries d set
        attempt_count = d.attempt_count + (o.code <> '')::int,
        state = case when not ({_APPLIES}) then d.state
            when {_TOO_LATE} then 4 else o.state end,
        reason = case when not ({_APPLIES}) then d.reason
            when {_TOO_LATE} then '{DELIVER_BY_PASSED}' else o.reason end,
        due = case when not ({_APPLIES}) then d.due
            when {_ENDS} then null else now() + make_interval(secs => o.delay) end,
        settle_time = case when {_APPLIES} and {_ENDS} then now() else d.settle_time end,
        worker = case when {_APPLIES} then null else d.worker end,
        lease = case when {_APPLIES} then null else d.lease end
    from o
    where d.message = o.message and d.endpoint = o.endpoint
        and not exists (select from attempts a where a.message = o.message and a.id = o.id)
    returning o.id, d.attempt_count, d.state, d.settle_time,
        old.state = 1 and d.state <> 1 as settled, d.round
), kept as (
    insert into attempts (message, id, endpoint, number, start_time, duration, http_status, code,
        response_body, remote_address)
    select o.message, o.id, o.endpoint, c.attempt_count, o.start_time, o.duration, o.http_status,
        o.code, o.response_body, o.remote_address
    from changed c join o on o.id = c.id where o.code <> ''
)
select id, attempt_count, state, settle_time, settled, round from changed
"""


async def record(tx: Tx, batch: Sequence[Attempted]) -> list[Settled]:
    """Records attempts, each of another delivery; answers the deliveries that they settled."""
    await lanes.ripen(tx, _delays(batch))
    rows = {row["id"]: row for row in await tx.fetch(_RECORD, *_columns(batch))}
    settled = []
    for attempted in batch:
        row = rows.get(attempted.id)
        if row is None:
            continue
        if row["settled"]:
            settled.append(_settled(attempted, row))
    return settled


def _delays(batch: Sequence[Attempted]) -> dict[UUID, float | None]:
    """By endpoint, when to look at it; None for one that is there for its lock, because more than
    the delivery changes."""
    delays: dict[UUID, float | None] = {}
    for attempted in batch:
        target, verdict = attempted.delivery.target, attempted.verdict
        if verdict.state is DeliveryState.PENDING:
            known = delays.get(target.endpoint)
            delays[target.endpoint] = min(verdict.delay, known or verdict.delay)
        elif target.ordered:
            delays[target.endpoint] = 0.0
        elif target.watched or target.gated or not attempted.exchange.is_success:
            delays.setdefault(target.endpoint, None)
    return delays


def _columns(batch: Sequence[Attempted]) -> list[list[Any]]:
    return [
        [a.delivery.message.id for a in batch],
        [a.delivery.target.endpoint for a in batch],
        [a.delivery.lease for a in batch],
        [a.id for a in batch],
        [a.verdict.state for a in batch],
        [a.verdict.delay for a in batch],
        [a.verdict.reason for a in batch],
        [a.start_time for a in batch],
        [a.duration for a in batch],
        [a.exchange.http_status for a in batch],
        [a.exchange.code for a in batch],
        [a.exchange.body for a in batch],
        [a.exchange.remote_address for a in batch],
    ]


def _settled(attempted: Attempted, row: Any) -> Settled:
    message = attempted.delivery.message
    state = DeliveryState(row["state"])
    late = state is DeliveryState.EXPIRED
    return Settled(
        message=message.id,
        endpoint=attempted.delivery.target.endpoint,
        account=message.account,
        event_type=message.event_type,
        state=state,
        code=DELIVER_BY_PASSED if late else attempted.exchange.code,
        http_status=attempted.exchange.http_status,
        attempt_count=row["attempt_count"],
        create_time=message.create_time,
        settle_time=row["settle_time"],
        round=row["round"] or 0,
        channel=attempted.delivery.target.channel,
    )
