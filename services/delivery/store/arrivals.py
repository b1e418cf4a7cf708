"""New messages with their deliveries, in one statement.

The statement is the greater part of what a message costs that is sent from here at once; whatever
needs locks or keys goes by `messages.insert` and `leases.insert`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from libs.db import Database, Tx
from services.delivery.domain.model import Leased, Message
from services.delivery.store.leases import Lease, NewDelivery

# As in `leases`: the lock keeps the worker from being declared dead until this is committed. Of one
# that is dead already nothing is written.
_INSERT = """
with alive as (
    select id from workers where id = $8 for key share
), new as (
    insert into messages (id, account, event_type, payload, create_time, deliver_by, trace_parent)
    select a.* from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::timestamptz[],
        $6::timestamptz[], $7::text[]) as a, alive
    on conflict (id) do nothing returning id
), made as (
    insert into deliveries
        (message, endpoint, state, attempt_count, due, deliver_by, worker, lease, reason)
    select n.id, a.endpoint, 1, 0, now(), a.deliver_by, $8, $9, ''
    from unnest($10::uuid[], $11::uuid[], $12::timestamptz[]) as a(message, endpoint, deliver_by)
    join new n on n.id = a.message
    on conflict (message, endpoint) do nothing
)
select exists (select from alive) as alive, array(select id from new) as new
"""


def fits(made: Sequence[Message], planned: Sequence[NewDelivery]) -> bool:
    """Whether all of it is sent from here at once, and none of it has to do with others."""
    return not any(m.coalesce_key or m.keeps_order_key for m in made) and all(
        one.leased and not one.is_keyed and not one.waits_for_digest for one in planned
    )


async def insert(
    writer: Tx | Database, made: Sequence[Message], planned: Sequence[NewDelivery], lease: Lease
) -> tuple[set[UUID], list[Leased]] | None:
    """Adds messages, and the deliveries of those that are new; answers which are, and what the
    lease was given. None: its worker has been declared dead, and nothing was added."""
    row = await writer.fetchrow(
        _INSERT,
        [m.id for m in made],
        [m.account for m in made],
        [m.event_type for m in made],
        [m.payload for m in made],
        [m.create_time for m in made],
        [m.deliver_by for m in made],
        [m.trace_parent for m in made],
        lease.worker,
        lease.token,
        [d.message.id for d in planned],
        [d.target.endpoint for d in planned],
        [d.deliver_by for d in planned],
    )
    assert row is not None, "it selects one"
    if not row["alive"]:
        return None
    new = set(row["new"])
    leased = [Leased(d.message, d.target, lease.token, 1) for d in planned if d.message.id in new]
    return new, leased
