"""Versions of days, and what corrections replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs.api import filters
from libs.db import Reader, Tx
from services.market.domain.imports import Health, Mode, Snapshot
from services.market.store import quotes

MODES = {f"MODE_{mode.name}": mode for mode in Mode if mode is not Mode.UNSPECIFIED}
FILTERS = {
    "day": filters.day("n.day"),
    "source": filters.text("s.name"),
    "version": filters.whole("n.version"),
    "mode": filters.choice("n.mode", MODES),
}

_SELECT = (
    "select s.name as source, n.day, n.version, n.publish_time, n.quote_count, n.change_count,"
    " n.rejected_count, n.import as import_id, n.mode, n.health, n.usual_share, n.release_time,"
    " n.source as source_number"
    " from snapshots n join sources s using (source)"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a source stands: the version of a day it has, if any, and its newest day."""

    version: int | None
    newest: date | None


async def standing(reader: Reader, source: int, day: date) -> Standing:
    """Where the source stands with regard to `day`."""
    row = await reader.fetchrow(
        "select (select max(version) from snapshots where source = $1 and day = $2),"
        " (select max(day) from snapshots where source = $1)",
        source,
        day,
    )
    assert row is not None  # it selects from nothing
    return Standing(row[0], row[1])


async def newest_version(reader: Reader, source: str, day: date) -> int:
    """The newest version of a day; 0 where there is none."""
    version: int = await reader.fetchval(
        "select coalesce(max(version), 0) from snapshots n join sources s using (source)"
        " where s.name = $1 and n.day = $2",
        source,
        day,
    )
    return version


async def days(reader: Reader, source: int) -> list[date]:
    """A source's days, in order."""
    rows = await reader.fetch(
        "select distinct day from snapshots where source = $1 order by day", source
    )
    return [row["day"] for row in rows]


async def newest_day(reader: Reader) -> date | None:
    """The newest day of any source."""
    day: date | None = await reader.fetchval("select max(day) from snapshots")
    return day


async def count(reader: Reader, first: date, end: date) -> int:
    """How many versions there are of days from `first` to the one before `end`."""
    found: int = await reader.fetchval(
        "select count(*) from snapshots where day >= $1 and day < $2", first, end
    )
    return found


async def latest_before(reader: Reader, end: date) -> datetime | None:
    """When a day before `end` last got a version."""
    time: datetime | None = await reader.fetchval(
        "select max(publish_time) from snapshots where day < $1", end
    )
    return time


async def get(reader: Reader, source: str, day: date, version: int) -> Snapshot | None:
    """One version of a day."""
    row = await reader.fetchrow(
        f"{_SELECT} where s.name = $1 and n.day = $2 and n.version = $3", source, day, version
    )
    return None if row is None else _snapshot(row)


async def page(
    reader: Reader, where: filters.Where, after: tuple[date, int, int] | None, limit: int
) -> tuple[list[Snapshot], tuple[date, int, int] | None]:
    """Versions by day, newest first, and where the next page begins, None at the end.

    `after` is such a place: day, version, source. `where` counts its parameters from 5.
    """
    day, version, source = after or (None, None, None)
    rows = await reader.fetch(
        f"{_SELECT} where {where.sql}"
        " and ($1::date is null or (n.day, n.version, n.source) < ($1, $2::int, $3::int))"
        " order by n.day desc, n.version desc, n.source desc limit $4",
        day,
        version,
        source,
        limit + 1,
        *where.params,
    )
    last = rows[limit - 1] if len(rows) > limit else None
    place = None if last is None else (last["day"], last["version"], last["source_number"])
    return [_snapshot(row) for row in rows[:limit]], place


async def insert(tx: Tx, source: int, item: Snapshot) -> None:
    """Stores a version."""
    await tx.execute(
        "insert into snapshots (source, day, version, publish_time, quote_count, change_count,"
        " rejected_count, import, mode, health, usual_share)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        source,
        item.day,
        item.version,
        item.publish_time,
        item.quote_count,
        item.change_count,
        item.rejected_count,
        item.import_id,
        item.mode,
        item.health,
        item.usual_share,
    )


async def shares(reader: Reader, source: int, before: date, limit: int) -> list[float]:
    """The shares of quotes that had changed on the source's days of news before a day, the newest
    `limit`, oldest first; of days with a quote."""
    rows = await reader.fetch(
        "select change_count::float8 / quote_count as share from snapshots"
        " where source = $1 and day < $2 and mode = 1 and version = 1 and quote_count > 0"
        " order by day desc limit $3",
        source,
        before,
        limit,
    )
    return [row["share"] for row in reversed(rows)]


async def release(tx: Tx, source: int, item: Snapshot, now: datetime) -> bool:
    """Notes that a blocked version is released; False where it is not held."""
    tag = await tx.execute(
        "update snapshots set release_time = $4 where source = $1 and day = $2 and version = $3"
        " and health = 3 and release_time is null",
        source,
        item.day,
        item.version,
        now,
    )
    return tag == "UPDATE 1"


async def insert_corrections(
    tx: Tx,
    source: int,
    item: Snapshot,
    rows: Sequence[tuple[int, list[int] | None, list[int] | None]],
) -> None:
    """Keeps what a version replaced: (card, the old five prices or None, the new or None)."""
    if not rows:
        return
    place = (item.day, source, item.version - 1, item.version)
    await tx.copy_records(
        "corrections",
        ("card", "day", "source", "from_version", "to_version", "old", "new", "import"),
        [(card, *place, _nulls(old), _nulls(new), item.import_id) for card, old, new in rows],
    )


def _nulls(cents: list[int] | None) -> list[int | None] | None:
    return None if cents is None else quotes.plain(cents)


def _snapshot(row: Any) -> Snapshot:
    values = dict(row)
    del values["source_number"]
    values["mode"] = Mode(values["mode"])
    values["health"] = Health(values["health"])
    return Snapshot(**values)
