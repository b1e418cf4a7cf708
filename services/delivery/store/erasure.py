"""An account's rows go, a bounded number at a time.

What stays: that a mailbox is not to be written to, and when confirmations were asked for it. Both
are about the mailbox, whoever has it, and protect it from the next account. E-mails under way in a
batch with those of others stay until it is answered or too old.
"""

from __future__ import annotations

from uuid import UUID

from libs.api.erasure import Left
from libs.db import Tx

_TARGETS = (
    "select id from (select id from endpoints where account = $1"
    " union all select id from email_addresses where account = $1) t order by id limit $2"
)
# In whatever another transaction is writing its outcome is recorded first; the next look finds it.
_DELIVERIES = (
    "with gone as (select message, endpoint from deliveries where message = any($1)"
    " for update skip locked)"
    " delete from deliveries d using gone g where d.message = g.message and d.endpoint = g.endpoint"
)
# Told of by message. An outcome of a delivery that is gone is not recorded.
_ABOUT_MESSAGES = ("attempts", "email_sends", "email_batch_sends", "email_events")
_ABOUT_TARGETS = ("breakers", "removals", "lane_holds")


async def delete_targets(tx: Tx, account: UUID, limit: int) -> bool:
    """Deletes endpoints and addresses with all that sending to them needs, so that nothing more is
    taken for them; answers whether there may be more of them."""
    ids = [row["id"] for row in await tx.fetch(_TARGETS, account, limit)]
    # Lanes first and in order, as everywhere.
    await tx.execute(
        "with gone as (select endpoint from lanes where endpoint = any($1) order by endpoint"
        " for update) delete from lanes l using gone g where l.endpoint = g.endpoint",
        ids,
    )
    await tx.execute("delete from breakers where endpoint = any($1)", ids)
    await tx.execute("delete from removals where endpoint = any($1)", ids)
    await tx.execute("delete from lane_holds where endpoint = any($1)", ids)
    await tx.execute("delete from delivery_operations where account = $1", account)
    await tx.execute("delete from endpoints where id = any($1)", ids)
    await tx.execute("delete from email_digest_items where address = any($1)", ids)
    await tx.execute("delete from email_addresses where id = any($1)", ids)
    return len(ids) == limit


async def delete_messages(tx: Tx, account: UUID, limit: int) -> Left:
    """Deletes messages with their deliveries and all that is told of them; answers what is left."""
    rows = await tx.fetch(
        "select id from messages where account = $1 order by create_time, id limit $2",
        account,
        limit,
    )
    ids = [row["id"] for row in rows]
    await tx.execute(_DELIVERIES, ids)
    free = await tx.fetch(
        "delete from messages m where id = any($1)"
        " and not exists (select from deliveries where message = m.id) returning id",
        ids,
    )
    for table in _ABOUT_MESSAGES:
        await tx.execute(
            f"delete from {table} where message = any($1)", [row["id"] for row in free]
        )
    if len(free) < len(ids):
        return Left.BUSY
    return Left.MORE if len(ids) == limit else Left.NOTHING
