"""Deliveries on their way: made, taken by a worker, given back.

A worker row that is locked FOR KEY SHARE cannot be declared dead until the transaction ends, so
that no lease is ever written for a worker that nobody will look after.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.db import Reader, Tx
from services.delivery.domain.model import ALERT_TRIGGERED, Leased, Message, Target
from services.delivery.store import emails, endpoint_targets, lanes, order
from services.delivery.store.vault import Vault

_INSERT = """
insert into deliveries
    (message, endpoint, state, attempt_count, due, deliver_by, worker, lease, reason)
select a.message, a.endpoint, 1, 0, now(), a.deliver_by,
    case when a.leased then $5::uuid end, case when a.leased then $6::uuid end, ''
from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bool[])
    as a(message, endpoint, deliver_by, leased)
on conflict (message, endpoint) do nothing
"""

# Those of a key have a number, by which they go out; `order.promote` makes the first of them due.
_INSERT_KEYED = """
insert into deliveries (message, endpoint, state, attempt_count, due, deliver_by, reason, order_key,
    order_number, coalesce_key)
select a.message, a.endpoint, 1, 0, case when a.order_key is null then now() else 'infinity' end,
    a.deliver_by, '', a.order_key,
    case when a.order_key is not null then nextval('delivery_order') end, a.coalesce_key
from (
    select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[])
        with ordinality as a(message, endpoint, deliver_by, order_key, coalesce_key, position)
    order by position
) a
on conflict (message, endpoint) do nothing
"""

# A delivery past its deliver-by is left to the sweep.
_TAKE = """
with picked as (
    select d.message, d.endpoint
    from unnest($1::uuid[], $2::int[]) as a(endpoint, room)
    join lanes l using (endpoint)
    cross join lateral (
        select message, endpoint from deliveries
        where endpoint = a.endpoint and state = 1 and worker is null and due <= now()
            and due >= coalesce(l.low_due, '-infinity')
            and (deliver_by is null or deliver_by > now())
        order by due limit a.room for update skip locked
    ) d
)
update deliveries d set worker = $3, lease = $4
from picked p join messages m on m.id = p.message
where d.message = p.message and d.endpoint = p.endpoint
returning d.endpoint, d.attempt_count - coalesce(d.attempts_before, 0) as made, m.id, m.account,
    m.event_type, m.payload, m.create_time,
    m.deliver_by, m.trace_parent
"""

_RELEASE = """
update deliveries d set worker = null, lease = null
from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as a(message, endpoint, lease)
where d.message = a.message and d.endpoint = a.endpoint and d.lease = a.lease and d.state = 1
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """In whose name deliveries are taken: a worker, and a token made for this one taking."""

    worker: UUID
    token: UUID


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to be made; leased at once where there is room to send it, else it waits."""

    message: Message
    target: Target
    leased: bool

    @property
    def deliver_by(self) -> datetime | None:
        """The message's own, else as the endpoint has it."""
        message, within = self.message, self.target.deliver_within
        if within is None or message.deliver_by is not None:
            return message.deliver_by
        return message.create_time + timedelta(seconds=within)

    @property
    def order_key(self) -> str | None:
        """By which it is kept in order, if it is."""
        return self.message.order_key or None if self.target.ordered else None

    @property
    def is_keyed(self) -> bool:
        """Whether it has to do with others."""
        return bool(self.message.coalesce_key) or self.target.ordered

    @property
    def waits_for_digest(self) -> bool:
        """Whether it is to be told with others."""
        return self.target.digest and self.message.event_type == ALERT_TRIGGERED


async def worker_lives(tx: Tx, worker: UUID) -> bool:
    """Whether the worker may take deliveries; it will, until this transaction ends."""
    found = await tx.fetchval("select 1 from workers where id = $1 for key share", worker)
    return found is not None


async def insert(tx: Tx, made: Sequence[NewDelivery], lease: Lease | None) -> list[Leased]:
    """Adds deliveries; answers those that the lease was given."""
    if lease is None or not await worker_lives(tx, lease.worker):
        made, lease = [NewDelivery(d.message, d.target, leased=False) for d in made], None
    await lanes.ripen(tx, dict.fromkeys((d.target.endpoint for d in made if not d.leased), 0.0))
    if keyed := [d for d in made if d.is_keyed]:
        await _insert_keyed(tx, keyed)
        made = [d for d in made if not d.is_keyed]
    await tx.execute(
        _INSERT,
        [d.message.id for d in made],
        [d.target.endpoint for d in made],
        [d.deliver_by for d in made],
        [d.leased for d in made],
        lease.worker if lease else None,
        lease.token if lease else None,
    )
    return [Leased(d.message, d.target, lease.token, 1) for d in made if d.leased and lease]


async def _insert_keyed(tx: Tx, made: Sequence[NewDelivery]) -> None:
    """Adds deliveries that have to do with others. Needs their lanes' locks."""
    await tx.execute(
        _INSERT_KEYED,
        [d.message.id for d in made],
        [d.target.endpoint for d in made],
        [d.deliver_by for d in made],
        [d.order_key for d in made],
        [d.message.coalesce_key or None for d in made],
    )
    await order.promote(tx, [(d.message.id, d.target.endpoint) for d in made])


async def claim(
    tx: Tx,
    vault: Vault,
    lease: Lease,
    rooms: Mapping[UUID, int],
    probing: Collection[UUID] = frozenset(),
) -> list[Leased]:
    """Takes what is due: of each endpoint in `rooms` at most so many; of those in `probing` to
    probe them. Needs their lanes' locks."""
    if not await worker_lives(tx, lease.worker):
        return []
    rows = await tx.fetch(_TAKE, list(rooms), list(rooms.values()), lease.worker, lease.token)
    await lanes.tighten(tx, rooms.keys())
    if not rows:
        return []
    ids = {row["endpoint"] for row in rows}
    targets = await endpoint_targets.get(tx, vault, list(ids))
    if len(targets) < len(ids):
        targets |= await emails.targets(tx, list(ids - targets.keys()))
    return [
        Leased(
            _message(row),
            targets[row["endpoint"]],
            lease.token,
            attempt=row["made"] + 1,
            probe=row["endpoint"] in probing,
        )
        for row in rows
    ]


async def release(tx: Tx, leased: Sequence[Leased]) -> None:
    """Gives back what was taken and not sent; it is due as before."""
    if not leased:
        return
    back = dict.fromkeys((d.target.endpoint for d in leased), 0.0)
    await lanes.ripen(tx, back, given_back=True)
    await tx.execute(
        _RELEASE,
        [d.message.id for d in leased],
        [d.target.endpoint for d in leased],
        [d.lease for d in leased],
    )


async def strays(reader: Reader, worker: UUID, known: Collection[UUID]) -> set[UUID]:
    """The worker's leases, less those it knows of."""
    rows = await reader.fetch(
        "select distinct lease from deliveries where worker = $1 and lease <> all($2::uuid[])",
        worker,
        list(known),
    )
    return {row["lease"] for row in rows}


async def release_tokens(tx: Tx, worker: UUID, tokens: Collection[UUID]) -> None:
    """Gives back all that the worker holds under these leases."""
    mine = "worker = $1 and lease = any($2::uuid[])"
    rows = await tx.fetch(
        f"select distinct endpoint from deliveries where {mine}", worker, list(tokens)
    )
    await lanes.ripen(tx, dict.fromkeys((row["endpoint"] for row in rows), 0.0), given_back=True)
    await tx.execute(
        f"update deliveries set worker = null, lease = null where {mine}", worker, list(tokens)
    )


def _message(row: Any) -> Message:
    return Message(
        id=row["id"],
        account=row["account"],
        event_type=row["event_type"],
        payload=row["payload"],
        create_time=row["create_time"],
        deliver_by=row["deliver_by"],
        trace_parent=row["trace_parent"],
    )
