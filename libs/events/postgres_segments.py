"""The segments of the PostgreSQL log: opened by size and age, dropped by age unless needed."""

from __future__ import annotations

import logging
from datetime import timedelta

import asyncpg

from libs.db import Database, Tx

log = logging.getLogger(__name__)

SEGMENT_BYTES = 1 << 30
SEGMENT_AGE = timedelta(days=1)
# Longer than any append can take.
SETTLED = timedelta(minutes=5)

_LOCK = 0x7071_7367

_CURRENT = """
select seg, open_time < clock_timestamp() - $1::interval as old,
    pg_total_relation_size(format('log_records_%s', seg)::regclass) > $2 as big,
    exists (select 1 from log_records r where r.seg = s.seg) as used
from log_segments s order by seg desc limit 1
"""

# A segment is needed while a registered consumer's position is at or before its last record.
_DROPPABLE = """
select seg from log_segments s
where close_time < clock_timestamp() - $1::interval
    and not exists (
        select 1 from log_positions p
        cross join lateral (
            select 1 from log_records r
            where r.seg = s.seg and r.part = p.part and r."offset" >= p.position limit 1
        ) needed
    )
order by seg
"""


async def maintain(
    db: Database, retention: timedelta, *, size: int = SEGMENT_BYTES, age: timedelta = SEGMENT_AGE
) -> int:
    """Opens and drops what is due, one process at a time.

    Answers the newest segment that every append now under way knows of.
    """
    async with db.transaction() as tx:
        if await tx.fetchval("select pg_try_advisory_xact_lock($1)", _LOCK):
            await tx.execute("set local lock_timeout = '2s'")
            await _open(tx, size, age)
            await _drop(tx, retention)
    settled = await db.fetchval(
        "select max(seg) from log_segments where open_time < clock_timestamp() - $1::interval",
        SETTLED,
    )
    return settled or 0


async def _open(tx: Tx, size: int, age: timedelta) -> None:
    current = await tx.fetchrow(_CURRENT, age, size)
    assert current is not None
    if current["used"] and (current["old"] or current["big"]):
        segment = await tx.fetchval("select log_open_segment()")
        log.info("log segment opened", extra={"segment": segment})


async def _drop(tx: Tx, retention: timedelta) -> None:
    """Drops from the oldest on, and stops at the first that is needed: offsets keep no holes."""
    oldest = await tx.fetchval("select min(seg) from log_segments")
    for row in await tx.fetch(_DROPPABLE, retention):
        segment: int = row["seg"]
        if segment != oldest:
            return
        table = f"log_records_{segment}"
        try:
            async with tx.savepoint():
                await tx.execute(
                    f'update log_parts p set first = r.after from (select part, max("offset") + 1'  # noqa: S608
                    f" as after from {table} group by part) r where p.part = r.part"
                )
                await tx.execute(f"drop table {table}")
                await tx.execute("delete from log_segments where seg = $1", segment)
        except asyncpg.LockNotAvailableError:
            return  # readers are at it; next time
        log.info("log segment dropped", extra={"segment": segment})
        oldest += 1
