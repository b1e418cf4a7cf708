"""Fetches of sources' days, and the parts they have so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

from libs.db import Database, Reader


class FetchState(IntEnum):
    """The contract's numbers."""

    RUNNING = 1
    SUCCEEDED = 2
    FAILED = 3


@dataclass(frozen=True, slots=True)
class Fetch:
    """What fetching a day came to; tried again at `next_time` where it failed."""

    adapter: str
    day: date
    state: FetchState
    attempts: int
    start_time: datetime
    end_time: datetime | None
    next_time: datetime | None
    error: str
    import_id: UUID | None


_COLUMNS = "adapter, day, state, attempts, start_time, end_time, next_time, error, import"


async def part(reader: Reader, adapter: str, day: date, name: str) -> tuple[str, str] | None:
    """Where a part is kept, and its digest."""
    row = await reader.fetchrow(
        "select raw, sha256 from fetched_parts where adapter = $1 and day = $2 and part = $3",
        adapter,
        day,
        name,
    )
    return None if row is None else (row["raw"], row["sha256"])


async def keep_part(
    db: Database, adapter: str, day: date, name: str, raw: str, sha256: str, now: datetime
) -> None:
    """Notes a part that was fetched and kept."""
    await db.execute(
        "insert into fetched_parts (adapter, day, part, raw, sha256, fetch_time)"
        " values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        adapter,
        day,
        name,
        raw,
        sha256,
        now,
    )


async def begin(db: Database, adapter: str, day: date, now: datetime) -> None:
    """Notes that a day is being fetched."""
    await db.execute(
        "insert into fetches (adapter, day, state, attempts, start_time) values ($1, $2, 1, 1, $3)"
        " on conflict (adapter, day) do update set state = 1, attempts = fetches.attempts + 1,"
        " start_time = excluded.start_time, end_time = null, next_time = null",
        adapter,
        day,
        now,
    )


async def succeed(db: Database, adapter: str, day: date, now: datetime, item: UUID) -> None:
    """Notes the import that a day became."""
    await db.execute(
        "update fetches set state = 2, end_time = $3, next_time = null, error = '', import = $4"
        " where adapter = $1 and day = $2",
        adapter,
        day,
        now,
        item,
    )


async def fail(
    db: Database, adapter: str, day: date, now: datetime, error: str, again: datetime | None
) -> None:
    """Notes why a day could not be fetched, and when it is tried again."""
    await db.execute(
        "update fetches set state = 3, end_time = $3, error = $4, next_time = $5"
        " where adapter = $1 and day = $2",
        adapter,
        day,
        now,
        error[:2000],
        again,
    )


async def get(reader: Reader, adapter: str, day: date) -> Fetch | None:
    """One day's."""
    row = await reader.fetchrow(
        f"select {_COLUMNS} from fetches where adapter = $1 and day = $2", adapter, day
    )
    return None if row is None else _fetch(row)


async def page(reader: Reader, adapter: str, before: date | None, limit: int) -> Sequence[Fetch]:
    """An adapter's, newest day first."""
    rows = await reader.fetch(
        f"select {_COLUMNS} from fetches where adapter = $1 and ($2::date is null or day < $2)"
        " order by day desc limit $3",
        adapter,
        before,
        limit,
    )
    return [_fetch(row) for row in rows]


def _fetch(row: Any) -> Fetch:
    adapter, day, state, *rest = row
    return Fetch(adapter, day, FetchState(state), *rest)
