"""Sending domains and what was found of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from libs.api.filters import Where
from libs.db import Database, Reader, Tx
from services.delivery.domain.authentication.report import Report
from services.delivery.domain.authentication.stored import SendingDomain
from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.verdict import Check, Finding, Verdict
from services.delivery.store import reports

_COLUMNS = (
    "name, envelope, senders, keys, reports, revision, create_time, update_time, report, settled,"
    " check_time, drift_time, next_check_time"
)


async def insert(tx: Tx, subject: Subject, now: datetime) -> bool:
    """Adds a domain that is due; False where it is there already."""
    tag = await tx.execute(
        "insert into domains (name, envelope, senders, keys, reports, revision, create_time,"
        " update_time, verdict, settled, next_check_time)"
        " values ($1, $2, $3, $4, $5, 1, $6, $6, 0, '[]', $6) on conflict do nothing",
        subject.domain,
        subject.envelope,
        list(subject.senders),
        reports.dump_keys(subject.keys),
        subject.reports,
        now,
    )
    return tag == "INSERT 0 1"


async def count(tx: Tx) -> int:
    """How many there are. Creating is serial from here on, so that it stays."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('domains', 0))")
    number: int = await tx.fetchval("select count(*) from domains")
    return number


async def get(reader: Reader, name: str) -> SendingDomain | None:
    """The domain, if it is there."""
    row = await reader.fetchrow(f"select {_COLUMNS} from domains where name = $1", name)
    return _domain(row) if row else None


async def lock(tx: Tx, name: str) -> SendingDomain | None:
    """The domain, locked until the transaction ends."""
    row = await tx.fetchrow(f"select {_COLUMNS} from domains where name = $1 for update", name)
    return _domain(row) if row else None


async def list_page(reader: Reader, where: Where, after: str, limit: int) -> list[SendingDomain]:
    """At most `limit` domains by name, after the name `after`. `where` counts from $3."""
    rows = await reader.fetch(
        f"select {_COLUMNS} from domains where name > $1 and {where.sql} order by name limit $2",
        after,
        limit,
        *where.params,
    )
    return [_domain(row) for row in rows]


async def update(tx: Tx, subject: Subject, now: datetime) -> None:
    """Changes what is asked for; what was known of it until now says nothing any more."""
    await tx.execute(
        "update domains set envelope = $2, senders = $3, keys = $4, reports = $5,"
        " revision = revision + 1, update_time = $6, settled = '[]', next_check_time = $6"
        " where name = $1",
        subject.domain,
        subject.envelope,
        list(subject.senders),
        reports.dump_keys(subject.keys),
        subject.reports,
        now,
    )


async def delete(tx: Tx, name: str) -> None:
    """Takes a domain away."""
    await tx.execute("delete from domains where name = $1", name)


async def claim_due(db: Database, now: datetime, lease: timedelta) -> str | None:
    """The name of one domain that is due, put off by `lease`; None where none is.

    Whoever dies over it leaves it due again when the lease ends.
    """
    name: str | None = await db.fetchval(
        "update domains set next_check_time = $1::timestamptz + $2 where name = ("
        " select name from domains where next_check_time <= $1 order by next_check_time"
        " limit 1 for update skip locked) returning name",
        now,
        lease,
    )
    return name


async def save(
    tx: Tx,
    name: str,
    report: Report,
    settled: Iterable[Finding],
    times: tuple[datetime, datetime | None, datetime],
) -> None:
    """Keeps what was found; `times` are of this check, of the last drift, and of the next check."""
    await tx.execute(
        "update domains set report = $2, settled = $3, verdict = $4, check_time = $5,"
        " drift_time = $6, next_check_time = $7 where name = $1",
        name,
        reports.dump_report(report),
        reports.dump_findings(settled),
        report.verdict,
        *times,
    )


async def verdicts(reader: Reader) -> list[tuple[str, Check, Verdict]]:
    """Every finding's verdict, by domain and check."""
    rows = await reader.fetch(
        "select name, (f->>'check')::int as check, (f->>'verdict')::int as verdict"
        " from domains, jsonb_array_elements(report->'findings') f where report is not null"
    )
    return [(row["name"], Check(row["check"]), Verdict(row["verdict"])) for row in rows]


def _domain(row: Any) -> SendingDomain:
    subject = Subject(
        row["name"],
        row["envelope"],
        tuple(row["senders"]),
        reports.load_keys(row["keys"]),
        row["reports"],
    )
    return SendingDomain(
        subject=subject,
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        next_check_time=row["next_check_time"],
        report=reports.load_report(row["report"]),
        settled=reports.load_findings(row["settled"]),
        check_time=row["check_time"],
        drift_time=row["drift_time"],
    )
