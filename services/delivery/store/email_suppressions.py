"""Mailboxes that nothing is sent to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from libs.api.filters import Where
from libs.db import Reader, Tx
from services.delivery.domain.email_addresses import Suppression, SuppressionReason
from services.delivery.store import emails

_COLUMNS = "id, email_key, reason, detail, source, create_time"


async def insert(tx: Tx, made: Sequence[Suppression]) -> list[Suppression]:
    """Adds suppressions; answers those that were not there before.

    What still waits for the mailboxes is given up.
    """
    rows = await tx.fetch(
        f"insert into email_suppressions ({_COLUMNS}) select * from unnest($1::uuid[], $2::text[],"
        " $3::smallint[], $4::text[], $5::text[], $6::timestamptz[])"
        " on conflict (email_key) do nothing returning id, email_key",
        [s.id for s in made],
        [s.email_key for s in made],
        [s.reason for s in made],
        [s.detail for s in made],
        [s.source for s in made],
        [s.create_time for s in made],
    )
    new = {row["id"] for row in rows}
    if new:
        keys = [row["email_key"] for row in rows]
        found = await tx.fetch(
            "select id from email_addresses where email_key = any($1::text[]) order by id", keys
        )
        await emails.hurry(tx, [row["id"] for row in found])
    return [s for s in made if s.id in new]


async def get(reader: Reader, id: UUID) -> Suppression | None:
    """A suppression, if there is one."""
    row = await reader.fetchrow(f"select {_COLUMNS} from email_suppressions where id = $1", id)
    return _suppression(row) if row else None


async def list_page(
    reader: Reader, where: Where, before: UUID | None, limit: int
) -> list[Suppression]:
    """At most `limit`, newest first, older than `before`. `where` counts from $3."""
    rows = await reader.fetch(
        f"select {_COLUMNS} from email_suppressions where ($1::uuid is null or id < $1)"
        f" and {where.sql} order by id desc limit $2",
        before,
        limit,
        *where.params,
    )
    return [_suppression(row) for row in rows]


async def delete(tx: Tx, id: UUID) -> bool:
    """Lifts a suppression; False where there is none."""
    tag = await tx.execute("delete from email_suppressions where id = $1", id)
    return not tag.endswith(" 0")


def _suppression(row: Any) -> Suppression:
    return Suppression(
        id=row["id"],
        email_key=row["email_key"],
        reason=SuppressionReason(row["reason"]),
        detail=row["detail"],
        source=row["source"],
        create_time=row["create_time"],
    )
