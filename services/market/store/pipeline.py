"""Runs as rows. A run is made in the transaction that stores its day, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from libs.api import filters
from libs.db import Reader, Tx
from services.market.domain.imports import Mode, Snapshot
from services.market.domain.pipeline import KEPT_DAYS, DayVersion, Run, RunState, StepRecord
from services.market.store.snapshots import MODES

STATES = {f"STATE_{state.name}": state for state in RunState}
FILTERS = {
    "source": filters.text("s.name"),
    "day": filters.day("r.day"),
    "state": filters.choice("r.state", STATES),
    "mode": filters.choice("r.mode", MODES),
}
# The class of the locks on sources that their runs hold; any fixed number serves.
_LOCK = 0x6D6B7472

_COLUMNS = (
    "r.run, s.name, s.source, s.currency, r.day, r.version, r.mode, r.data_version, r.state,"
    " r.create_time, r.end_time, r.next_time, r.attempts, r.error, r.steps"
)
_FROM = "from pipeline_runs r join sources s using (source)"

# A day that is the newest of its source goes before what is made up for; then in order of days,
# for anomalies look at those of the days before. While files still come in nothing is begun.
_TAKE = f"""
select {_COLUMNS}, n.newest {_FROM}
cross join lateral (
    select max(day) as newest, max(publish_time) as latest from snapshots
    where source = r.source
) n
where r.state = 1 and r.next_time <= $1 and n.latest <= $2
    and not (r.source = any($3::smallint[]))
order by r.day = n.newest desc, r.day, r.version
limit 1 for update of r skip locked
"""


async def enqueue(tx: Tx, id: UUID, source: int, item: Snapshot) -> None:
    """Has a version published with its signals. What changes a day before the newest has that one
    done again too: it looks back."""
    await tx.execute(
        "insert into pipeline_runs (run, source, day, version, mode, state, create_time, next_time)"
        " values ($1, $2, $3, $4, $5, 1, $6, $6)"
        " on conflict (source, day, version) do nothing",
        id,
        source,
        item.day,
        item.version,
        item.mode,
        item.publish_time,
    )
    if item.mode is not Mode.LIVE:
        await tx.execute(
            "update pipeline_runs r set state = 1, next_time = $3, attempts = 0 from ("
            " select day, max(version) as version from snapshots where source = $1"
            " group by day order by day desc limit 1) n"
            " where r.source = $1 and r.day = n.day and r.version = n.version and r.day > $2",
            source,
            item.day,
            item.publish_time,
        )


async def take(
    tx: Tx, now: datetime, quiet: timedelta, busy: Sequence[int]
) -> tuple[Run, date] | None:
    """The run whose turn it is, locked, and its source's newest day; None where there is none.

    Nothing of sources in `busy`, and of none that got a file within `quiet`.
    """
    row = await tx.fetchrow(_TAKE, now, now - quiet, list(busy))
    return None if row is None else (_run(row), row["newest"])


async def waits(reader: Reader, now: datetime) -> bool:
    """Whether a run's turn has come."""
    found: bool = await reader.fetchval(
        "select exists (select from pipeline_runs where state = 1 and next_time <= $1)", now
    )
    return found


async def lock_source(tx: Tx, source: int) -> bool:
    """Whether this transaction is now the only one to run something of the source."""
    got: bool = await tx.fetchval("select pg_try_advisory_xact_lock($1, $2)", _LOCK, source)
    return got


async def data_version(tx: Tx, source: int, day: date) -> int:
    """How many versions of days up to `day` the source has."""
    count: int = await tx.fetchval(
        "select count(*) from snapshots where source = $1 and day <= $2", source, day
    )
    return count


async def skip_old(tx: Tx, source: int, newest: date) -> int:
    """Leaves those undone that are too old to be kept while `newest` is the newest day; answers
    how many. See domain.pipeline.is_kept."""
    tag = await tx.execute(
        "update pipeline_runs set state = 4, next_time = null"
        " where source = $1 and state = 1 and day <= $2::date - $3::int"
        " and extract(day from day + 1) <> 1",
        source,
        newest,
        KEPT_DAYS,
    )
    return int(tag.rpartition(" ")[2])


async def unfollowed(reader: Reader, source: int) -> tuple[date | None, list[UUID]]:
    """Versions that the indices have not been followed through: the first day, and their runs."""
    rows = await reader.fetch(
        "select day, run from pipeline_runs where source = $1 and not followed order by day", source
    )
    return (rows[0]["day"] if rows else None), [row["run"] for row in rows]


async def note_followed(tx: Tx, runs: Sequence[UUID]) -> None:
    """Notes that the indices have been followed through these."""
    await tx.execute(
        "update pipeline_runs set followed = true where run = any($1::uuid[])", list(runs)
    )


async def succeed(
    tx: Tx, run: Run, day: DayVersion, steps: Sequence[StepRecord], now: datetime
) -> None:
    """Stores a run's record and publishes its results."""
    told = [
        {"step": one.step, "code": one.code_version, "seconds": one.seconds, "counts": one.counts}
        for one in steps
    ]
    await tx.execute(
        "update pipeline_runs set state = 2, end_time = $2, next_time = null, error = '',"
        " attempts = attempts + 1, data_version = $3, steps = $4 where run = $1",
        run.id,
        now,
        day.data_version,
        orjson.dumps(told).decode(),
    )
    await tx.execute(
        "insert into published"
        " (source, day, version, run, data_version, code_version, publish_time)"
        " values ($1, $2, $3, $4, $5, $6, $7) on conflict (source, day, version) do update set"
        " run = excluded.run, data_version = excluded.data_version,"
        " code_version = excluded.code_version, publish_time = excluded.publish_time",
        day.source_number,
        day.day,
        day.version,
        run.id,
        day.data_version,
        " ".join(one.code_version for one in steps),
        now,
    )


async def fail(tx: Tx, run: UUID, error: str, now: datetime, retry: float | None) -> None:
    """Notes a failure; tried again after `retry` seconds, or never."""
    await tx.execute(
        "update pipeline_runs set attempts = attempts + 1, error = $2, end_time = $3::timestamptz,"
        " state = case when $4::float8 is null then 3 else 1 end,"
        " next_time = $3::timestamptz + make_interval(secs => $4) where run = $1",
        run,
        error[:2000],
        now,
        retry,
    )


async def again(tx: Tx, run: UUID, now: datetime) -> bool:
    """Has a run made once more; False where there is none."""
    tag = await tx.execute(
        "update pipeline_runs set state = 1, next_time = $2, attempts = 0 where run = $1", run, now
    )
    return tag == "UPDATE 1"


async def get(reader: Reader, run: UUID) -> Run | None:
    """One run."""
    row = await reader.fetchrow(f"select {_COLUMNS} {_FROM} where r.run = $1", run)
    return None if row is None else _run(row)


async def page(
    reader: Reader, where: filters.Where, after: tuple[date, UUID] | None, limit: int
) -> list[Run]:
    """Runs by day, newest first, after a place. `where` counts its parameters from 4."""
    day, run = after or (None, None)
    rows = await reader.fetch(
        f"select {_COLUMNS} {_FROM} where {where.sql}"
        " and ($1::date is null or (r.day, r.run) < ($1, $2::uuid))"
        " order by r.day desc, r.run desc limit $3",
        day,
        run,
        limit,
        *where.params,
    )
    return [_run(row) for row in rows]


async def statuses(reader: Reader, window: int) -> list[dict[str, Any]]:
    """By source: name, newest, published, published_days, quoted_days, waiting, failed (a run's id
    or None); days of the last `window` up to the newest."""
    rows = await reader.fetch(_STATUS, window)
    return [dict(row) for row in rows]


_STATUS = """
select s.name, n.newest,
    (select max(day) from published p where p.source = s.source) as published,
    (select count(distinct day) from published p
        where p.source = s.source and p.day > n.newest - $1::int) as published_days,
    (select count(distinct day) from snapshots q
        where q.source = s.source and q.day > n.newest - $1::int) as quoted_days,
    (select count(*) from pipeline_runs r where r.source = s.source and r.state = 1) as waiting,
    (select run from pipeline_runs r where r.source = s.source and r.error <> ''
        order by r.end_time desc limit 1) as failed
from sources s
cross join lateral (select max(day) as newest from snapshots where source = s.source) n
where n.newest is not null order by s.source
"""


def _run(row: Any) -> Run:
    steps = tuple(
        StepRecord(one["step"], one["code"], one["seconds"], one["counts"])
        for one in orjson.loads(row["steps"])
    )
    return Run(
        id=row["run"],
        of=DayVersion(
            row["name"],
            row["source"],
            row["currency"],
            row["day"],
            row["version"],
            Mode(row["mode"]),
            row["data_version"],
        ),
        state=RunState(row["state"]),
        create_time=row["create_time"],
        end_time=row["end_time"],
        next_time=row["next_time"],
        attempts=row["attempts"],
        error=row["error"],
        steps=steps,
    )
