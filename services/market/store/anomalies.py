"""Anomalies as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from libs.api import filters
from libs.db import Reader, Tx
from services.market.domain.anomalies import Anomaly
from services.market.domain.pipeline import DayVersion

KINDS: Mapping[str, int] = {"KIND_REPRICED": 1, "KIND_MOVING": 2, "KIND_THIN": 3}
FILTERS = {
    "day": filters.day("a.day"),
    "source": filters.text("s.name"),
    "kind": filters.choice("a.kind", KINDS),
    "card": filters.text("'cards/' || c.id"),
    "resolved": filters.truth("(a.resolve_time is not null)"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """One to be stored, of a card number."""

    id: UUID
    card: int
    kind: int
    before: int
    price: int
    score: float
    explanation: str


_SELECT = """
select a.anomaly, c.id, c.display_name, s.name, s.currency, a.day, a.version, a.kind, a.before,
    a.price, a.score, a.explanation, a.resolution, a.resolve_time
from anomalies a join cards c using (card) join sources s on s.source = a.source
"""
# Of the newest version that was looked at: an earlier one's are history.
_CURRENT = """
a.version = (select max(version) from published p where p.source = a.source and p.day = a.day)
"""


async def replace(tx: Tx, day: DayVersion, found: Sequence[Found]) -> list[UUID]:
    """Stores those of a version in place of what it had; answers which are new. What was said of
    one that is found again stays."""
    key = (day.source_number, day.day, day.version)
    await tx.execute(
        "delete from anomalies where source = $1 and day = $2 and version = $3"
        " and not (anomaly = any($4::uuid[]))",
        *key,
        [one.id for one in found],
    )
    rows = await tx.fetch(
        "insert into anomalies (anomaly, source, day, version, card, kind, before, price, score,"
        " explanation) select u.id, $1, $2, $3, u.card, u.kind, u.before, u.price, u.score, u.told"
        " from unnest($4::uuid[], $5::int[], $6::int[], $7::int[], $8::int[], $9::float8[],"
        " $10::text[]) as u(id, card, kind, before, price, score, told)"
        " on conflict (anomaly) do nothing returning anomaly",
        *key,
        [one.id for one in found],
        [one.card for one in found],
        [one.kind for one in found],
        [one.before for one in found],
        [one.price for one in found],
        [one.score for one in found],
        [one.explanation for one in found],
    )
    return [row["anomaly"] for row in rows]


async def latest(reader: Reader, source: int, before: date, days: int) -> dict[int, date]:
    """By card number the last day before `before` on which it had one, within `days`."""
    rows = await reader.fetch(
        "select card, max(day) from anomalies"
        " where source = $1 and day < $2 and day > $2::date - $3::int group by card",
        source,
        before,
        days,
    )
    return {row[0]: row[1] for row in rows}


async def get(reader: Reader, id: UUID) -> Anomaly | None:
    """One."""
    row = await reader.fetchrow(f"{_SELECT} where a.anomaly = $1", id)
    return None if row is None else Anomaly(*row)


async def by_id(reader: Reader, ids: Sequence[UUID]) -> list[Anomaly]:
    """Those with these ids, largest score first."""
    rows = await reader.fetch(
        f"{_SELECT} where a.anomaly = any($1::uuid[]) order by a.score desc, a.anomaly", ids
    )
    return [Anomaly(*row) for row in rows]


async def page(
    reader: Reader, where: filters.Where, after: tuple[date, UUID] | None, limit: int
) -> list[Anomaly]:
    """Those of days' newest versions, newest day first. `where` counts its parameters from 4."""
    day, id = after or (None, None)
    rows = await reader.fetch(
        f"{_SELECT} where {where.sql} and {_CURRENT}"
        " and ($1::date is null or (a.day, a.anomaly) < ($1, $2::uuid))"
        " order by a.day desc, a.anomaly desc limit $3",
        day,
        id,
        limit,
        *where.params,
    )
    return [Anomaly(*row) for row in rows]


async def resolve(tx: Tx, id: UUID, resolution: str, now: datetime) -> bool:
    """Notes what one was; False where there is none."""
    tag: Any = await tx.execute(
        "update anomalies set resolution = $2, resolve_time = $3 where anomaly = $1",
        id,
        resolution,
        now,
    )
    return bool(tag == "UPDATE 1")
