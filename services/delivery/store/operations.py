"""Operations over many deliveries, as rows. A step holds its row's lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from libs.db import Reader, Tx
from services.delivery.domain.operations import Operation, OperationKind, OperationState

_FIELDS = (
    "id, account, kind, endpoint, state, start_time, end_time, cursor_time, cursor_id, looked_at,"
    " changed, create_time, finish_time"
)


async def insert(tx: Tx, operation: Operation) -> None:
    """Adds an operation; its first step is due at once."""
    await tx.execute(
        f"insert into delivery_operations ({_FIELDS}, next_time)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now())",
        operation.id,
        operation.account,
        operation.kind,
        operation.endpoint,
        operation.state,
        operation.start_time,
        operation.end_time,
        operation.cursor_time,
        operation.cursor_id,
        operation.looked_at,
        operation.changed,
        operation.create_time,
        operation.finish_time,
    )


async def get(reader: Reader, account: UUID, id: UUID) -> Operation | None:
    """The account's operation, if there is one."""
    row = await reader.fetchrow(
        f"select {_FIELDS} from delivery_operations where id = $1 and account = $2", id, account
    )
    return _operation(row) if row else None


async def list_page(
    reader: Reader, account: UUID, before: UUID | None, limit: int
) -> list[Operation]:
    """At most `limit` operations, newest first, older than `before`."""
    rows = await reader.fetch(
        f"select {_FIELDS} from delivery_operations where account = $1"
        " and ($2::uuid is null or id < $2) order by id desc limit $3",
        account,
        before,
        limit,
    )
    return [_operation(row) for row in rows]


async def take(tx: Tx) -> Operation | None:
    """One whose next step is due and that nobody else is at, locked."""
    row = await tx.fetchrow(
        f"select {_FIELDS} from delivery_operations where state = 1 and next_time <= now()"
        " order by next_time limit 1 for update skip locked"
    )
    return _operation(row) if row else None


async def save(tx: Tx, operation: Operation, wait: float) -> None:
    """Notes how far it is; the next step is due in `wait` seconds."""
    await tx.execute(
        "update delivery_operations set state = $2::smallint, cursor_time = $3, cursor_id = $4,"
        " looked_at = $5, changed = $6, finish_time = case when $2::smallint <> 1 then now() end,"
        " next_time = now() + make_interval(secs => $7) where id = $1",
        operation.id,
        operation.state,
        operation.cursor_time,
        operation.cursor_id,
        operation.looked_at,
        operation.changed,
        wait,
    )


async def stop(tx: Tx, account: UUID, id: UUID) -> Operation | None:
    """Stops the account's operation, if it is at work; answers it as it is."""
    await tx.execute(
        "update delivery_operations set state = $3, finish_time = now()"
        " where id = $1 and account = $2 and state = 1",
        id,
        account,
        OperationState.CANCELLED,
    )
    return await get(tx, account, id)


async def next_messages(reader: Reader, operation: Operation, limit: int) -> Sequence[Any]:
    """At most `limit` of the account's messages that it covers and has not looked at, oldest
    first: (id, create_time)."""
    return await reader.fetch(
        "select id, create_time from messages where account = $1"
        " and create_time >= $2 and create_time < $3"
        " and ($4::timestamptz is null or (create_time, id) > ($4, $5))"
        " order by create_time, id limit $6",
        operation.account,
        operation.start_time,
        operation.end_time,
        operation.cursor_time,
        operation.cursor_id,
        limit,
    )


def _operation(row: Any) -> Operation:
    values = dict(row)
    values["kind"] = OperationKind(values["kind"])
    values["state"] = OperationState(values["state"])
    return Operation(**values)
