"""Workers: they are alive while they say so, and what the dead held is given back."""

from __future__ import annotations

from uuid import UUID

from libs.db import Database, Tx
from services.delivery.store import lanes

# After a restart of the server every heartbeat looks old: the silence counts from then.
_DEAD = """
select id from workers
where greatest(heartbeat_time, pg_postmaster_start_time()) < now() - make_interval(secs => $1)
for update skip locked
"""


async def register(db: Database, id: UUID, name: str) -> None:
    """Adds a living worker."""
    await db.execute(
        "insert into workers (id, name, start_time, heartbeat_time) values ($1, $2, now(), now())",
        id,
        name,
    )


async def heartbeat(db: Database, id: UUID) -> bool:
    """Says that the worker lives; False where it was declared dead meanwhile."""
    tag = await db.execute("update workers set heartbeat_time = now() where id = $1", id)
    return tag == "UPDATE 1"


async def lock(tx: Tx, id: UUID) -> bool:
    """Waits for all that is being leased to this worker, and lets nothing more be."""
    return await tx.fetchval("select 1 from workers where id = $1 for update", id) is not None


async def lock_dead(tx: Tx, lifetime: float) -> list[UUID]:
    """Workers that said nothing for `lifetime` seconds of the database's clock, locked."""
    return [row["id"] for row in await tx.fetch(_DEAD, lifetime)]


async def retire(tx: Tx, workers: list[UUID]) -> int:
    """Gives back all that these locked workers hold, and forgets them; answers how much that was.

    It is due as it was when it was taken, that is, by now.
    """
    rows = await tx.fetch(
        "select distinct endpoint from deliveries where worker = any($1)", workers
    )
    await lanes.ripen(tx, dict.fromkeys((row["endpoint"] for row in rows), 0.0), given_back=True)
    tag = await tx.execute(
        "update deliveries set worker = null, lease = null where worker = any($1)", workers
    )
    await tx.execute("delete from workers where id = any($1)", workers)
    return int(tag.rpartition(" ")[2])
