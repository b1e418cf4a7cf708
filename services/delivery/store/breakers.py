"""Circuit breakers as rows. Who writes one holds its lane's lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.db import Reader, Tx
from services.delivery.domain.breaker import Breaker, BreakerState, Bucket

FIELDS = (
    "state",
    "recent",
    "opens",
    "until",
    "change_time",
    "probed",
    "busy",
    "failing_since",
    "warned",
)
_COLUMNS = f"endpoint, {', '.join(FIELDS)}"
_SAVE = f"""
insert into breakers ({_COLUMNS})
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (endpoint) do update set state = excluded.state, recent = excluded.recent,
    opens = excluded.opens, until = excluded.until, change_time = excluded.change_time,
    probed = excluded.probed, busy = excluded.busy, failing_since = excluded.failing_since,
    warned = excluded.warned
"""


async def get(reader: Reader, endpoints: Collection[UUID]) -> dict[UUID, Breaker]:
    """The breakers of these endpoints, as far as there are any."""
    rows = await reader.fetch(
        f"select {_COLUMNS} from breakers where endpoint = any($1::uuid[])", list(endpoints)
    )
    return {row["endpoint"]: from_row(row) for row in rows}


async def save(tx: Tx, breakers: Mapping[UUID, Breaker]) -> None:
    """Writes breakers; one that says nothing is taken away."""
    gone = [id for id, breaker in breakers.items() if breaker.is_forgettable]
    if gone:
        await forget(tx, gone)
    await tx.executemany(
        _SAVE, [(id, *to_row(one)) for id, one in breakers.items() if not one.is_forgettable]
    )


async def forget(tx: Tx, endpoints: Collection[UUID]) -> None:
    """Takes breakers away."""
    await tx.execute("delete from breakers where endpoint = any($1::uuid[])", list(endpoints))


async def now(reader: Reader) -> datetime:
    """The database's clock."""
    moment: datetime = await reader.fetchval("select now()")
    return moment


def to_row(breaker: Breaker) -> tuple[Any, ...]:
    """A breaker's FIELDS."""
    recent = [n for bucket in breaker.recent for n in _numbers(bucket)]
    return (
        breaker.state,
        recent,
        breaker.opens,
        breaker.until,
        breaker.change_time,
        breaker.probed,
        breaker.busy,
        breaker.failing_since,
        breaker.warned,
    )


def _numbers(bucket: Bucket) -> tuple[int, int, int]:
    return bucket.start, bucket.successes, bucket.failures


def from_row(row: Any) -> Breaker:
    """The breaker that a row's FIELDS are of."""
    numbers = row["recent"]
    return Breaker(
        state=BreakerState(row["state"]),
        recent=tuple(Bucket(*numbers[at : at + 3]) for at in range(0, len(numbers), 3)),
        opens=row["opens"],
        until=row["until"],
        change_time=row["change_time"],
        probed=row["probed"],
        busy=row["busy"],
        failing_since=row["failing_since"],
        warned=row["warned"],
    )
