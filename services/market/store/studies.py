"""Studies as rows."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from libs.db import Database, Reader, Tx
from services.market.domain.studies import Kind, State, Study

# Whoever has said nothing of a study for so long is dead.
ABANDONED = timedelta(minutes=2)
_SELECT = (
    "select t.study, t.kind, s.name, t.source, t.account, t.asked::text, t.state, t.error,"
    " t.create_time, t.end_time, t.first_day, t.last_day, t.data_version, t.code_version,"
    " t.seconds, {} from studies t join sources s using (source)"
)
_WHOLE = _SELECT.format("t.result::text")
# Without the days, which are the most of it.
_BRIEF = _SELECT.format("(t.result - 'days' - 'worth' - 'net')::text")


async def insert(tx: Tx, study: Study) -> None:
    """Adds a study that waits."""
    await tx.execute(
        "insert into studies (study, kind, source, account, asked, state, create_time)"
        " values ($1, $2, $3, $4, $5::jsonb, $6, $7)",
        study.id,
        study.kind,
        study.source_number,
        study.account,
        orjson.dumps(study.asked).decode(),
        study.state,
        study.create_time,
    )


async def unfinished(tx: Tx, account: UUID) -> int:
    """How many of an account are not done. Serial per account from here on."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"bkt {account}")
    number: int = await tx.fetchval(
        "select count(*) from studies where account = $1 and state in (1, 2)", account
    )
    return number


async def waits(reader: Reader, now: datetime) -> bool:
    """Whether a study waits, or was abandoned."""
    found: bool = await reader.fetchval(
        "select exists (select from studies where state = 1 or (state = 2 and claim_time < $1))",
        now - ABANDONED,
    )
    return found


async def claim(db: Database, now: datetime) -> Study | None:
    """Takes the study that has waited longest."""
    id = await db.fetchval(
        "update studies set state = 2, claim_time = $1 where study = (select study from studies"
        " where state = 1 or (state = 2 and claim_time < $2) order by create_time, study limit 1"
        " for update skip locked) returning study",
        now,
        now - ABANDONED,
    )
    if id is None:
        return None
    row = await db.fetchrow(f"{_WHOLE} where t.study = $1", id)
    return _study(row) if row else None


async def still(db: Database, id: UUID, now: datetime) -> None:
    """Says that a study is being computed."""
    await db.execute("update studies set claim_time = $2 where study = $1 and state = 2", id, now)


async def succeed(
    db: Database,
    study: Study,
    days: tuple[date, date],
    versions: tuple[int, str],
    seconds: float,
    result: bytes,
    now: datetime,
) -> None:
    """Keeps a study's result: first and last day, data and code version, and JSON."""
    await db.execute(
        "update studies set state = 3, end_time = $2, first_day = $3, last_day = $4,"
        " data_version = $5, code_version = $6, seconds = $7, result = $8::jsonb"
        " where study = $1 and state = 2",
        study.id,
        now,
        *days,
        *versions,
        seconds,
        result.decode(),
    )


async def fail(db: Database, id: UUID, error: str, now: datetime) -> None:
    """Says why a study could not be done."""
    await db.execute(
        "update studies set state = 4, end_time = $2, error = $3 where study = $1 and state = 2",
        id,
        now,
        error,
    )


async def get(reader: Reader, kind: Kind, account: UUID | None, id: UUID) -> Study | None:
    """A study with its result; of an account, or nobody's."""
    row = await reader.fetchrow(
        f"{_WHOLE} where t.study = $1 and t.kind = $2 and t.account is not distinct from $3",
        id,
        kind,
        account,
    )
    return _study(row) if row else None


async def delete(tx: Tx, account: UUID, id: UUID) -> bool:
    """Takes an account's study away; False where it has no such one."""
    found = await tx.fetchval(
        "delete from studies where study = $1 and account = $2 returning 1", id, account
    )
    return found is not None


async def page(
    reader: Reader,
    kind: Kind,
    account: UUID | None,
    source: str,
    before: UUID | None,
    limit: int,
) -> list[Study]:
    """Studies, newest first, before a place."""
    rows = await reader.fetch(
        f"{_BRIEF} where t.kind = $1 and t.account is not distinct from $2"
        " and ($3 = '' or s.name = $3) and ($4::uuid is null or t.study < $4)"
        " order by t.study desc limit $5",
        kind,
        account,
        source,
        before,
        limit,
    )
    return [_study(row) for row in rows]


async def source_number(reader: Reader, name: str) -> int | None:
    """The number of a source that has published something."""
    found: int | None = await reader.fetchval(
        "select s.source from sources s where s.name = $1"
        " and exists (select from published p where p.source = s.source)",
        name,
    )
    return found


async def due(reader: Reader, now: datetime, every: timedelta, quiet: timedelta) -> list[int]:
    """Sources whose newest published day is newer than their last report, which is `every` old or
    older, and that have published nothing for `quiet`."""
    rows = await reader.fetch(
        "select p.source from (select source, max(publish_time) as time from published"
        " group by source) p left join lateral (select create_time from studies"
        " where kind = 1 and source = p.source order by study desc limit 1) t on true"
        " where p.time < $1 and (t.create_time is null"
        " or (t.create_time < $2 and t.create_time < p.time))",
        now - quiet,
        now - every,
    )
    return [row["source"] for row in rows]


async def lock_due(tx: Tx) -> None:
    """One replica at a time asks for what is due."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('studies due', 0))")


async def erase(tx: Tx, account: UUID, limit: int) -> int:
    """Takes away at most `limit` of an account's studies; answers how many."""
    rows = await tx.fetch(
        "delete from studies where study in"
        " (select study from studies where account = $1 limit $2) returning study",
        account,
        limit,
    )
    return len(rows)


def _study(row: Any) -> Study:
    return Study(
        id=row[0],
        kind=Kind(row[1]),
        source=row[2],
        source_number=row[3],
        account=row[4],
        asked=orjson.loads(row[5]),
        state=State(row[6]),
        error=row[7],
        create_time=row[8],
        end_time=row[9],
        first_day=row[10],
        last_day=row[11],
        data_version=row[12],
        code_version=row[13],
        seconds=row[14],
        result=orjson.loads(row[15]) if row[15] is not None else None,
    )
