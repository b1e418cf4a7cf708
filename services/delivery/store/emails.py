"""E-mail addresses and their lanes.

An address shows as suppressed where its mailbox is; what it was before stays in its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.api.filters import Where
from libs.db import Database, Reader, Tx
from services.delivery.domain.email_addresses import (
    Digest,
    EmailAddress,
    EmailState,
    SuppressionReason,
)
from services.delivery.domain.model import Channel, Target
from services.delivery.store import lanes

STATE = "case when s.id is not null and a.state <> 4 then 3 else a.state end"
_SELECT = (
    "select a.id, a.account, a.email, a.email_key, a.description, a.event_types, a.state_reason,"
    f" {STATE} as state, s.reason as suppression, a.role_account, a.disposable, a.revision,"
    " a.create_time, a.update_time, a.confirm_time, a.confirmation_send_time,"
    " a.digest_hour, a.digest_zone, a.digest_time"
    " from email_addresses a left join email_suppressions s on s.email_key = a.email_key"
)


async def insert(tx: Tx, address: EmailAddress, *, configured: bool) -> bool:
    """Adds an address and its lane; False where the account has this mailbox already."""
    row = await tx.fetchrow(
        "insert into email_addresses (id, account, email, email_key, description, event_types,"
        " state, state_reason, role_account, disposable, revision, create_time, update_time,"
        " digest_hour, digest_zone, digest_time)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        " on conflict (account, email_key) do nothing returning id",
        address.id,
        address.account,
        address.email,
        address.email_key,
        address.description,
        list(address.event_types),
        address.state,
        address.state_reason,
        address.role_account,
        address.disposable,
        address.revision,
        address.create_time,
        address.update_time,
        *_digest(address),
    )
    if row is None:
        return False
    await tx.execute("insert into lanes (endpoint, open) values ($1, $2)", address.id, configured)
    return True


async def get(reader: Reader, account: UUID, id: UUID) -> EmailAddress | None:
    """The account's address, if there is one."""
    row = await reader.fetchrow(f"{_SELECT} where a.id = $1 and a.account = $2", id, account)
    return _address(row) if row else None


async def find(reader: Reader, id: UUID) -> EmailAddress | None:
    """An address, whosever it is."""
    row = await reader.fetchrow(f"{_SELECT} where a.id = $1", id)
    return _address(row) if row else None


async def lock(tx: Tx, id: UUID) -> EmailAddress | None:
    """An address, locked until the transaction ends; its lane first, as ever."""
    await tx.execute("select 1 from lanes where endpoint = $1 for update", id)
    await tx.execute("select 1 from email_addresses where id = $1 for update", id)
    return await find(tx, id)


async def list_page(
    reader: Reader, account: UUID, where: Where, before: UUID | None, limit: int
) -> list[EmailAddress]:
    """At most `limit` addresses, newest first, older than `before`. `where` counts from $4."""
    rows = await reader.fetch(
        f"{_SELECT} where a.account = $1 and ($2::uuid is null or a.id < $2)"
        f" and {where.sql} order by a.id desc limit $3",
        account,
        before,
        limit,
        *where.params,
    )
    return [_address(row) for row in rows]


async def count(tx: Tx, account: UUID) -> int:
    """How many the account has. Creating is serial per account from here on, so that it stays."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"eml {account}")
    number: int = await tx.fetchval(
        "select count(*) from email_addresses where account = $1", account
    )
    return number


async def update(tx: Tx, address: EmailAddress) -> None:
    """Keeps what its owner may change of an address."""
    await tx.execute(
        "update email_addresses set description = $2, event_types = $3, digest_hour = $4,"
        " digest_zone = $5, digest_time = $6, revision = $7, update_time = $8 where id = $1",
        address.id,
        address.description,
        list(address.event_types),
        *_digest(address),
        address.revision,
        address.update_time,
    )


async def set_state(tx: Tx, id: UUID, state: EmailState, reason: str, now: datetime) -> None:
    """Moves an address on; the first confirmation's time stays."""
    await tx.execute(
        "update email_addresses set state = $2::smallint, state_reason = $3,"
        " update_time = $4::timestamptz, revision = revision + 1, confirm_time ="
        " coalesce(confirm_time, case when $2::smallint = 2 then $4::timestamptz end)"
        " where id = $1",
        id,
        state,
        reason,
        now,
    )


async def delete(tx: Tx, id: UUID) -> None:
    """Takes the address and its lane away, and notes that deliveries may be left."""
    await tx.execute("delete from lanes where endpoint = $1", id)
    await tx.execute("delete from email_digest_items where address = $1", id)
    await tx.execute("delete from email_addresses where id = $1", id)
    await tx.execute("insert into former_email_addresses (id, delete_time) values ($1, now())", id)
    await lanes.note_removed(tx, [id])


async def hurry(tx: Tx, ids: Sequence[UUID]) -> None:
    """Has what waits for these addresses looked at now, to be given up: they take no more."""
    await lanes.ripen(tx, dict.fromkeys(ids, 0.0))
    await tx.execute(
        "update deliveries set due = now()"
        " where endpoint = any($1::uuid[]) and state = 1 and worker is null",
        ids,
    )


async def set_configured(db: Database, configured: bool) -> None:
    """Opens the lanes of all addresses where something sends e-mail, and closes them where not."""
    await db.execute(
        "update lanes l set open = $1 from email_addresses a"
        " where l.endpoint = a.id and l.open <> $1",
        configured,
    )


# Confirmations.


async def confirmations_since(tx: Tx, email_key: str, since: datetime) -> int:
    """How many a mailbox was sent, whoever asked. Serial per mailbox from here on."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 1))", email_key)
    number: int = await tx.fetchval(
        "select count(*) from email_confirmations where email_key = $1 and create_time > $2",
        email_key,
        since,
    )
    return number


async def note_confirmation(tx: Tx, address: EmailAddress, message: UUID, now: datetime) -> None:
    """Remembers that a confirmation goes out, and forgets those that no longer count."""
    await tx.execute(
        "delete from email_confirmations where email_key = $1 and create_time < $2::timestamptz"
        " - interval '7 days'",
        address.email_key,
        now,
    )
    await tx.execute(
        "insert into email_confirmations (email_key, message, create_time) values ($1, $2, $3)",
        address.email_key,
        message,
        now,
    )
    await tx.execute(
        "update email_addresses set confirmation_send_time = $2, update_time = $2,"
        " state_reason = '', revision = revision + 1 where id = $1",
        address.id,
        now,
    )


# Targets.

_TARGETS = (
    "select a.id, a.account, a.email, a.event_types, l.open"
    " from email_addresses a join lanes l on l.endpoint = a.id"
)


async def targets(reader: Reader, ids: Sequence[UUID]) -> dict[UUID, Target]:
    """These addresses, as far as they are there; whether they may be sent to is asked later."""
    rows = await reader.fetch(f"{_TARGETS} where a.id = any($1::uuid[])", ids)
    return {row["id"]: _target(row) for row in rows}


async def targets_of_account(reader: Reader, account: UUID) -> list[Target]:
    """The confirmed addresses of an account."""
    rows = await reader.fetch(
        f"{_TARGETS} where a.account = $1 and a.state = 2 and not exists"
        " (select from email_suppressions s where s.email_key = a.email_key) order by a.id",
        account,
    )
    return [_target(row) for row in rows]


def _target(row: Any) -> Target:
    return Target(
        endpoint=row["id"],
        account=row["account"],
        url=row["email"],
        event_types=tuple(row["event_types"]),
        open=row["open"],
        keys=(),
        channel=Channel.EMAIL,
    )


def _address(row: Any) -> EmailAddress:
    state, suppression = EmailState(row["state"]), row["suppression"]
    hour = row["digest_hour"]
    shown = state is EmailState.SUPPRESSED
    return EmailAddress(
        id=row["id"],
        account=row["account"],
        email=row["email"],
        email_key=row["email_key"],
        description=row["description"],
        event_types=tuple(row["event_types"]),
        state=state,
        state_reason=SuppressionReason(suppression).word if shown else row["state_reason"],
        role_account=row["role_account"],
        disposable=row["disposable"],
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        confirm_time=row["confirm_time"],
        confirmation_send_time=row["confirmation_send_time"],
        digest=None if hour is None else Digest(hour, row["digest_zone"]),
        digest_time=row["digest_time"],
    )


def _digest(address: EmailAddress) -> tuple[int | None, str | None, datetime | None]:
    digest = address.digest
    return (
        digest.hour if digest else None,
        digest.time_zone if digest else None,
        address.digest_time,
    )
