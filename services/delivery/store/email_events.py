"""What providers told, and what follows from it for the deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.api.filters import Where
from libs.db import Reader, Tx
from services.delivery.domain.email_events import EmailEvent, EventKind, Stored
from services.delivery.domain.model import DeliveryState

_COLUMNS = (
    "id, provider, provider_event, kind, provider_kind, message, endpoint, recipient, code, detail,"
    " payload, occur_time, receive_time"
)


@dataclass(frozen=True, slots=True)
class Sent:
    """The e-mail that an event speaks of, before the event. `email_key` is "" where the address is
    gone."""

    message: UUID
    address: UUID
    account: UUID
    email_key: str
    stage: EventKind


async def insert(tx: Tx, stored: Stored) -> bool:
    """Keeps an event; False where it was told before."""
    event = stored.event
    reference = event.reference or (None, None)
    row = await tx.fetchrow(
        f"insert into email_events ({_COLUMNS})"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        " on conflict (provider, provider_event) do nothing returning id",
        stored.id,
        event.provider,
        event.event_id,
        event.kind,
        event.provider_kind,
        *reference,
        event.recipient,
        event.code,
        event.detail,
        event.payload,
        event.occur_time,
        stored.receive_time,
    )
    return row is not None


async def find(tx: Tx, event: EmailEvent) -> Sent | None:
    """The e-mail, by the reference that we sent along, else by the provider's id of it; locked."""
    message, address = event.reference or (None, None)
    row = await tx.fetchrow(
        "select p.message, p.endpoint, p.stage, m.account, coalesce(a.email_key, '') as email_key"
        " from email_sends p join messages m on m.id = p.message"
        " left join email_addresses a on a.id = p.endpoint"
        " where case when $1::uuid is not null then p.message = $1 and p.endpoint = $2"
        " else p.provider = $3 and p.provider_id = $4 and $4 <> '' end"
        " limit 1 for update of p",
        message,
        address,
        event.provider,
        event.provider_id,
    )
    if row is None:
        return None
    return Sent(
        row["message"],
        row["endpoint"],
        row["account"],
        row["email_key"],
        EventKind(row["stage"]),
    )


async def advance(tx: Tx, sent: Sent, kind: EventKind) -> None:
    """Raises the stage of an e-mail; a provider that tells of it has it, for certain."""
    await tx.execute(
        "update email_sends set stage = greatest(stage, $3), uncertain = false,"
        " accept_time = coalesce(accept_time, now()) where message = $1 and endpoint = $2",
        sent.message,
        sent.address,
        kind,
    )


async def settle(tx: Tx, sent: Sent, state: DeliveryState, reason: str) -> None:
    """Makes a delivery what its provider says. An attempt that is being recorded meanwhile is kept,
    and changes nothing of it."""
    await tx.execute(
        "update deliveries set state = $3, reason = $4, due = null, worker = null, lease = null,"
        " settle_time = coalesce(settle_time, now())"
        " where message = $1 and endpoint = $2 and state in (1, 2, 3, 6)",
        sent.message,
        sent.address,
        state,
        reason,
    )


async def list_page(reader: Reader, where: Where, before: UUID | None, limit: int) -> list[Stored]:
    """At most `limit`, newest first, older than `before`. `where` counts from $3."""
    rows = await reader.fetch(
        f"select {_COLUMNS} from email_events where ($1::uuid is null or id < $1)"
        f" and {where.sql} order by id desc limit $2",
        before,
        limit,
        *where.params,
    )
    return [_stored(row) for row in rows]


async def prune(tx: Tx, before: datetime, limit: int) -> int:
    """Forgets at most `limit` events that we were told of before then; answers how many."""
    rows: Sequence[Any] = await tx.fetch(
        "delete from email_events where id in (select id from email_events"
        " where receive_time < $1 order by id limit $2) returning id",
        before,
        limit,
    )
    return len(rows)


def _stored(row: Any) -> Stored:
    reference = (row["message"], row["endpoint"]) if row["message"] is not None else None
    event = EmailEvent(
        row["provider"],
        row["provider_event"],
        EventKind(row["kind"]),
        row["provider_kind"],
        row["occur_time"],
        recipient=row["recipient"],
        reference=reference,
        code=row["code"],
        detail=row["detail"],
    )
    return Stored(row["id"], event, row["receive_time"])
