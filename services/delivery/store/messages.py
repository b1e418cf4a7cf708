"""Messages, and how far they are: what is written at first, and what is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.api.filters import Where
from libs.db import Reader, Tx
from services.delivery.domain.model import (
    Attempt,
    Channel,
    Delivery,
    DeliveryState,
    EndpointState,
    Message,
)
from services.delivery.store.sweeps import IS_ADDRESS

_COLUMNS = "id, account, event_type, payload, create_time, deliver_by, trace_parent"


async def insert(tx: Tx, messages: Sequence[Message]) -> set[UUID]:
    """Adds messages; answers the ids of those that were not there before."""
    rows = await tx.fetch(
        f"insert into messages ({_COLUMNS}) select * from unnest($1::uuid[], $2::uuid[],"
        " $3::text[], $4::bytea[], $5::timestamptz[], $6::timestamptz[], $7::text[])"
        " on conflict (id) do nothing returning id",
        [m.id for m in messages],
        [m.account for m in messages],
        [m.event_type for m in messages],
        [m.payload for m in messages],
        [m.create_time for m in messages],
        [m.deliver_by for m in messages],
        [m.trace_parent for m in messages],
    )
    if keyed := [m for m in messages if m.coalesce_key or m.keeps_order_key]:
        await tx.execute(
            "update messages m set order_key = nullif(a.order_key, ''),"
            " coalesce_key = nullif(a.coalesce_key, '')"
            " from unnest($1::uuid[], $2::text[], $3::text[]) as a(id, order_key, coalesce_key)"
            " where m.id = a.id and m.order_key is null and m.coalesce_key is null",
            [m.id for m in keyed],
            [m.order_key if m.keeps_order_key else "" for m in keyed],
            [m.coalesce_key for m in keyed],
        )
    return {row["id"] for row in rows}


async def get(reader: Reader, account: UUID | None, id: UUID) -> Message | None:
    """The account's message, if there is one; None as the account stands for any."""
    row = await reader.fetchrow(
        f"select {_COLUMNS} from messages where id = $1 and ($2::uuid is null or account = $2)",
        id,
        account,
    )
    return Message(**row) if row else None


async def by_id(reader: Reader, ids: Sequence[UUID]) -> dict[UUID, Message]:
    """These messages, as far as they are there, with what is stored of their keys."""
    rows = await reader.fetch(
        f"select {_COLUMNS}, coalesce(order_key, '') as order_key,"
        " coalesce(coalesce_key, '') as coalesce_key from messages where id = any($1::uuid[])",
        list(ids),
    )
    return {row["id"]: Message(**row) for row in rows}


async def delivered_to(reader: Reader, endpoint: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Those of these messages that have a delivery to this endpoint, however it stands."""
    rows = await reader.fetch(
        "select message from deliveries where endpoint = $1 and message = any($2::uuid[])",
        endpoint,
        list(ids),
    )
    return {row["message"] for row in rows}


async def list_page(
    reader: Reader,
    account: UUID | None,
    where: Where,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Message]:
    """At most `limit` messages, newest first, older than `before`, which is a time and an id.
    `where` counts from $5. Ids do not say when a message was made: an alert's have the alert's
    time. Of all accounts, without one: that reads what the filter leaves of them."""
    time, id = before or (None, None)
    whose = "$1::uuid is null" if account is None else "account = $1"
    rows = await reader.fetch(
        f"select {_COLUMNS} from messages where {whose}"
        " and ($2::timestamptz is null or (create_time, id) < ($2, $3))"
        f" and {where.sql} order by create_time desc, id desc limit $4",
        account,
        time,
        id,
        limit,
        *where.params,
    )
    return [Message(**row) for row in rows]


async def deliveries(reader: Reader, messages: Sequence[UUID]) -> dict[UUID, list[Delivery]]:
    """The deliveries of each of these messages, those to come with a digest among them."""
    rows = await reader.fetch(
        "select d.message, d.endpoint, d.state, d.attempt_count, nullif(d.due, 'infinity') as due,"
        " d.settle_time, d.reason, d.worker is not null as leased, e.state as endpoint_state,"
        " coalesce(e.state_reason = 'endpoint_unverified', false) as unverified,"
        f" e.id is null and {IS_ADDRESS} as email,"
        " case when e.id is null then l.open end as open,"
        " coalesce(d.due = 'infinity', false) as behind, false as digest,"
        " case when l.hold_until > now() then l.hold_reason end as hold_reason"
        " from deliveries d left join endpoints e on e.id = d.endpoint"
        " left join lanes l on l.endpoint = d.endpoint"
        " where d.message = any($1)"
        " union all select i.message, i.address, $2::smallint, 0, a.digest_time, null, '', false,"
        " null, false, true, l.open, false, true, null"
        " from email_digest_items i join email_addresses a on a.id = i.address"
        " join lanes l on l.endpoint = a.id where i.message = any($1) order by message, endpoint",
        messages,
        DeliveryState.PENDING,
    )
    found: dict[UUID, list[Delivery]] = {id: [] for id in messages}
    for row in rows:
        found[row["message"]].append(_delivery(row))
    return found


async def attempts(reader: Reader, message: UUID, after: UUID | None, limit: int) -> list[Attempt]:
    """At most `limit` attempts of a message, oldest first, younger than `after`."""
    rows = await reader.fetch(
        "select d.id, d.message, d.endpoint, d.number, d.start_time, d.duration, d.http_status,"
        f" d.code, d.response_body, d.remote_address, case when {IS_ADDRESS} then 'email'"
        " else 'webhook' end as channel from attempts d"
        " where d.message = $1 and ($2::uuid is null or d.id > $2) order by d.id limit $3",
        message,
        after,
        limit,
    )
    return [Attempt(**{**row, "channel": Channel(row["channel"])}) for row in rows]


def _delivery(row: Any) -> Delivery:
    state = row["endpoint_state"]
    return Delivery(
        message=row["message"],
        endpoint=row["endpoint"],
        state=DeliveryState(row["state"]),
        attempt_count=row["attempt_count"],
        due=row["due"],
        settle_time=row["settle_time"],
        reason=row["reason"],
        leased=row["leased"],
        endpoint_state=None if state is None else EndpointState(state),
        channel=Channel.EMAIL if row["email"] else Channel.WEBHOOK,
        lane_open=row["open"] is not False,
        unverified=row["unverified"],
        behind=row["behind"],
        digest=row["digest"],
        hold_reason=row["hold_reason"] or "",
    )
