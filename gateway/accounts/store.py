"""Accounts and tokens in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.accounts.domain import Account, Owner, Token
from libs.db import Reader, Tx

_COLUMNS = (
    "id, hint, account, role, read_only, display_name, create_time, expire_time, last_use_time,"
    " revoke_time"
)


async def insert_account(tx: Tx, account: Account) -> None:
    """Adds an account."""
    await tx.execute(
        "insert into accounts (id, display_name, create_time) values ($1, $2, $3)",
        account.id,
        account.display_name,
        account.create_time,
    )


async def get_account(reader: Reader, id: UUID) -> Account | None:
    """The account, if there is one."""
    row = await reader.fetchrow(
        "select id, display_name, create_time from accounts where id = $1", id
    )
    return Account(**row) if row else None


async def delete_account(tx: Tx, id: UUID) -> bool:
    """Takes an account away with its tokens; answers whether there was one."""
    if await tx.fetchval("select id from accounts where id = $1 for update", id) is None:
        return False
    await tx.execute("delete from tokens where account = $1", id)
    await tx.execute("delete from accounts where id = $1", id)
    return True


async def forget_sign_up(tx: Tx, name: str) -> None:
    """Forgets the answer to an account's sign-up, which is kept for a day and found by no scope."""
    await tx.execute(
        "delete from request_keys where method = 'CreateAccount' and position($1 in response) > 0",
        name.encode(),
    )


async def insert_token(tx: Tx, token: Token, digest: bytes) -> None:
    """Adds a token; one with the same digest stays as it is."""
    await tx.execute(
        "insert into tokens (id, digest, hint, account, role, read_only, display_name,"
        " create_time, expire_time) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " on conflict (digest) do nothing",
        token.id,
        digest,
        token.hint,
        token.account,
        token.role,
        token.read_only,
        token.display_name,
        token.create_time,
        token.expire_time,
    )


async def token_by_digest(reader: Reader, digest: bytes) -> Token | None:
    """The token with this secret, dead or alive."""
    row = await reader.fetchrow(f"select {_COLUMNS} from tokens where digest = $1", digest)
    return Token(**row) if row else None


async def token_of(tx: Tx, owner: Owner, id: UUID) -> Token | None:
    """A token of this owner, locked until the transaction ends."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} from tokens"
        " where id = $1 and account is not distinct from $2 for update",
        id,
        owner.account,
    )
    return Token(**row) if row else None


async def list_tokens(reader: Reader, owner: Owner, before: UUID | None, limit: int) -> list[Token]:
    """At most `limit` tokens of this owner, newest first, older than `before`."""
    rows = await reader.fetch(
        f"select {_COLUMNS} from tokens where account is not distinct from $1"
        " and ($2::uuid is null or id < $2) order by id desc limit $3",
        owner.account,
        before,
        limit,
    )
    return [Token(**row) for row in rows]


async def count_live_tokens(reader: Reader, owner: Owner, now: datetime) -> int:
    """How many tokens of this owner open doors."""
    count: int = await reader.fetchval(
        "select count(*) from tokens where account is not distinct from $1"
        " and (expire_time is null or expire_time > $2)"
        " and (revoke_time is null or revoke_time > $2)",
        owner.account,
        now,
    )
    return count


async def revoke(tx: Tx, id: UUID, at: datetime) -> None:
    """Ends a token at `at`, or earlier where it was to end earlier."""
    await tx.execute(
        "update tokens set revoke_time = least(coalesce(revoke_time, $2), $2) where id = $1", id, at
    )


async def touch(db: Any, ids: Sequence[UUID], at: datetime) -> None:
    """Notes when tokens were last used."""
    await db.execute("update tokens set last_use_time = $2 where id = any($1)", list(ids), at)
