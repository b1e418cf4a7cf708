"""One at a time: deliveries of a key to an endpoint that wants them in order.

Only the first of a key that is not settled is due; those behind it are due at 'infinity' until it
is their turn: since their message was made, for so long have they been held. Whoever adds or
settles one holds its lane's lock, and so sees the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from libs.db import Tx

_PROMOTE = """
with keys as (
    select distinct d.endpoint, d.order_key
    from unnest($1::uuid[], $2::uuid[]) as a(message, endpoint)
    join deliveries d using (message, endpoint)
    where d.order_key is not null
), heads as (
    select h.message, h.endpoint from keys k
    cross join lateral (
        select message, endpoint, due from deliveries
        where endpoint = k.endpoint and order_key = k.order_key and state = 1
        order by order_number limit 1
    ) h
    where h.due = 'infinity'
)
update deliveries d set due = least(now(), m.create_time) from heads h
join messages m on m.id = h.message
where d.message = h.message and d.endpoint = h.endpoint
returning d.endpoint
"""


async def promote(tx: Tx, pairs: Sequence[tuple[UUID, UUID]]) -> None:
    """Makes the first of each key due that these deliveries, as (message, endpoint), are of."""
    if pairs:
        rows = await tx.fetch(_PROMOTE, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
        if rows:
            await tx.execute(
                "update lanes set low_due = null where endpoint = any($1::uuid[])",
                list({row["endpoint"] for row in rows}),
            )
