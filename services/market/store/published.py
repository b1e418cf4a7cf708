"""Which versions of days are published with their signals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from libs.db import Reader
from services.market.domain.imports import Mode
from services.market.domain.pipeline import DayVersion, Published

_SELECT = """
select s.name, s.source, s.currency, p.day, p.version, r.mode, p.data_version, p.run,
    p.code_version, p.publish_time
from published p join sources s using (source) join pipeline_runs r using (run)
"""


async def newest(
    reader: Reader, source: str | None = None, day: date | None = None
) -> Published | None:
    """The newest version of `day`, or of the newest day; of the first source that has one unless
    `source` says which."""
    row = await reader.fetchrow(
        f"{_SELECT} where ($1::text is null or s.name = $1) and ($2::date is null or p.day = $2)"
        " order by s.source, p.day desc, p.version desc limit 1",
        source,
        day,
    )
    return None if row is None else _published(row)


async def of_days(reader: Reader, source: int, days: Sequence[date]) -> dict[date, Published]:
    """The newest version of each of these days."""
    rows = await reader.fetch(
        f"select distinct on (day) * from ({_SELECT} where p.source = $1"
        " and p.day = any($2::date[])) p order by day, version desc",
        source,
        days,
    )
    return {row["day"]: _published(row) for row in rows}


async def newest_of_each(reader: Reader) -> list[Published]:
    """The newest version of the newest day of each source."""
    rows = await reader.fetch(
        f"select distinct on (source) * from ({_SELECT}) p order by source, day desc, version desc"
    )
    return [_published(row) for row in rows]


def _published(row: Any) -> Published:
    return Published(
        of=DayVersion(
            row["name"],
            row["source"],
            row["currency"],
            row["day"],
            row["version"],
            Mode(row["mode"]),
            row["data_version"],
        ),
        run=row["run"],
        code_version=row["code_version"],
        publish_time=row["publish_time"],
    )
