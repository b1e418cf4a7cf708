"""What limits lanes: breakers that are not closed, rates, caps. Needs the lanes' locks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.db import Reader, Tx
from services.delivery.domain.breaker import Breaker
from services.delivery.domain.rates import Bucket
from services.delivery.store import breakers

_LIMITS = f"""
select l.endpoint as lane, now() as now, e.rate_limit, e.max_in_flight, l.tokens, l.tokens_time,
    b.state is not null as broken, {", ".join(f"b.{name}" for name in breakers.FIELDS)}
from unnest($1::uuid[]) as a(endpoint)
join lanes l using (endpoint)
left join endpoints e on e.id = l.endpoint
left join breakers b on b.endpoint = l.endpoint and b.state <> 1
where b.state is not null or e.rate_limit is not null or e.max_in_flight is not null
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one lane. None: there is no such limit. `breaker` is one that is not closed."""

    now: datetime
    bucket: Bucket | None
    cap: int | None
    breaker: Breaker | None


async def limits(reader: Reader, endpoints: Collection[UUID]) -> dict[UUID, Limits]:
    """Of those of these lanes that something limits."""
    return {row["lane"]: _limits(row) for row in await reader.fetch(_LIMITS, list(endpoints))}


async def under_way(reader: Reader, endpoints: Collection[UUID]) -> dict[UUID, int]:
    """How many deliveries of each of these endpoints all workers hold together."""
    rows = await reader.fetch(
        "select endpoint, count(*) as held from deliveries"
        " where worker = any(array(select id from workers)) and endpoint = any($1::uuid[])"
        " group by endpoint",
        list(endpoints),
    )
    return {row["endpoint"]: row["held"] for row in rows}


async def save_tokens(tx: Tx, buckets: Mapping[UUID, Bucket]) -> None:
    """Notes what is left of the rates."""
    if buckets:
        await tx.execute(
            "update lanes l set tokens = a.tokens, tokens_time = a.time"
            " from unnest($1::uuid[], $2::float8[], $3::timestamptz[]) as a(endpoint, tokens, time)"
            " where l.endpoint = a.endpoint",
            list(buckets),
            [bucket.tokens for bucket in buckets.values()],
            [bucket.time for bucket in buckets.values()],
        )


def _limits(row: Any) -> Limits:
    now, rate = row["now"], row["rate_limit"]
    bucket = None
    if rate is not None:
        bucket = Bucket.full(rate, now)
        if row["tokens"] is not None:
            bucket = Bucket(rate, row["tokens"], row["tokens_time"]).at(now)
    return Limits(
        now=now,
        bucket=bucket,
        cap=row["max_in_flight"],
        breaker=breakers.from_row(row) if row["broken"] else None,
    )
