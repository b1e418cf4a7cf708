"""Mails that came back, and what was read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import orjson

from libs.db import Tx
from services.delivery.domain.bounces import Bounce, Reason


async def insert(
    tx: Tx,
    id: UUID,
    content_hash: bytes,
    source: str,
    raw: bytes,
    size: int,
    bounces: Sequence[Bounce],
    receive_time: datetime,
) -> bool:
    """Keeps a mail; answers False, and changes nothing, where it is kept already."""
    rows = orjson.dumps([asdict(bounce) for bounce in bounces]).decode()
    kept = await tx.fetchval(
        "insert into bounces (id, content_hash, source, raw, size, recipients, receive_time)"
        " values ($1, $2, $3, $4, $5, $6::jsonb, $7)"
        " on conflict (content_hash) do nothing returning id",
        id,
        content_hash,
        source,
        raw,
        size,
        rows,
        receive_time,
    )
    return kept is not None


async def find(tx: Tx, content_hash: bytes) -> tuple[UUID, list[Bounce]] | None:
    """The mail with this hash: its id and its rows."""
    row = await tx.fetchrow(
        "select id, recipients::text as recipients from bounces where content_hash = $1",
        content_hash,
    )
    if row is None:
        return None
    rows = orjson.loads(row["recipients"])
    return row["id"], [Bounce(**{**each, "reason": Reason(each["reason"])}) for each in rows]


async def delete_before(tx: Tx, moment: datetime, limit: int) -> int:
    """Forgets at most `limit` mails that were received before; answers how many."""
    rows = await tx.fetch(
        "delete from bounces where id in (select id from bounces where receive_time < $1"
        " order by receive_time limit $2 for update skip locked) returning id",
        moment,
        limit,
    )
    return len(rows)
