"""How an endpoint has done, and what there is to tell a delivery's story from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.db import Reader
from services.delivery.domain.breaker import Breaker
from services.delivery.domain.model import DeliveryState
from services.delivery.domain.timeline import PastHold
from services.delivery.store import breakers

# So many messages of the account are counted at most, the newest: each is a few looks into indexes.
COUNTED = 20_000

_MADE = f"""
with made as (
    select id from messages where account = $1 and create_time >= now() - $3::interval
    order by create_time desc limit {COUNTED + 1}
)
"""
_OUTCOMES = f"""{_MADE}
select d.state, count(*) as count, (select count(*) from made) as looked_at
from made m join deliveries d on d.message = m.id and d.endpoint = $2
group by d.state order by d.state
"""
_ATTEMPTS = f"""{_MADE}
select count(*) as attempts, count(*) filter (where a.code <> 'ok') as failures,
    percentile_cont(array[0.5, 0.95]) within group (order by extract(epoch from a.duration)::float8)
        filter (where a.http_status is not null) as latencies
from made m join attempts a on a.message = m.id and a.endpoint = $2
"""


@dataclass(frozen=True, slots=True)
class Period:
    """Deliveries by state and attempts, of messages made within `length`. Latencies are in seconds;
    None where nothing answered."""

    length: timedelta
    outcomes: dict[DeliveryState, int]
    attempts: int
    failures: int
    latencies: tuple[float, float] | None
    partial: bool


@dataclass(frozen=True, slots=True)
class LaneNow:
    """Whether a lane is held just now, and its breaker."""

    breaker: Breaker
    hold_reason: str
    hold_until: datetime | None


async def period(reader: Reader, account: UUID, endpoint: UUID, length: timedelta) -> Period:
    """How the endpoint has done."""
    outcomes = await reader.fetch(_OUTCOMES, account, endpoint, length)
    row = await reader.fetchrow(_ATTEMPTS, account, endpoint, length)
    assert row is not None  # an aggregate always has one
    latencies = row["latencies"]
    return Period(
        length=length,
        outcomes={DeliveryState(one["state"]): one["count"] for one in outcomes},
        attempts=row["attempts"],
        failures=row["failures"],
        latencies=None if latencies is None else (latencies[0], latencies[1]),
        partial=any(one["looked_at"] > COUNTED for one in outcomes),
    )


async def lane(reader: Reader, endpoint: UUID) -> LaneNow:
    """How its lane stands."""
    row = await reader.fetchrow(
        "select hold_reason, hold_until from lanes where endpoint = $1 and hold_until > now()",
        endpoint,
    )
    known = await breakers.get(reader, [endpoint])
    return LaneNow(
        breaker=known.get(endpoint, Breaker()),
        hold_reason=row["hold_reason"] if row else "",
        hold_until=row["hold_until"] if row else None,
    )


async def holds(
    reader: Reader, endpoints: Sequence[UUID], since: datetime
) -> dict[UUID, list[PastHold]]:
    """When the lanes of these endpoints were held since then. What its owner, or we, closed comes
    before what only slowed it."""
    rows = await reader.fetch(
        "select endpoint, start_time, end_time, reason from lane_holds"
        " where endpoint = any($1::uuid[]) and (end_time is null or end_time > $2)"
        " order by reason in ('breaker_open', 'receiver_busy'), start_time limit 10000",
        list(endpoints),
        since,
    )
    found: dict[UUID, list[PastHold]] = {id: [] for id in endpoints}
    for row in rows:
        held = PastHold(row["start_time"], row["end_time"], row["reason"])
        found[row["endpoint"]].append(held)
    return found


async def first_waits(reader: Reader, message: UUID) -> dict[UUID, str]:
    """By endpoint, what a longer wait before a first attempt of this message means there."""
    rows = await reader.fetch(
        "select d.endpoint, case when d.order_key is not null then 'waiting_order'"
        " when e.rate_limit is not null then 'rate_limited'"
        " when e.max_in_flight is not null then 'max_in_flight' else 'queued' end as cause"
        " from deliveries d left join endpoints e on e.id = d.endpoint where d.message = $1",
        message,
    )
    return {row["endpoint"]: row["cause"] for row in rows}
