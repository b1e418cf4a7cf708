"""Endpoints, their secrets, and their lanes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.api.filters import Where
from libs.db import Reader, Tx
from services.delivery.domain.breaker import BreakerState
from services.delivery.domain.model import Channel, Endpoint, EndpointState, Secrets, Target
from services.delivery.store import lanes
from services.delivery.store.vault import Vault

_COLUMNS = (
    "id, account, url, description, event_types, state, state_reason, revision, create_time,"
    " update_time"
)


async def insert(tx: Tx, endpoint: Endpoint) -> None:
    """Adds an endpoint and opens its lane."""
    await tx.execute(
        f"with made as (insert into endpoints ({_COLUMNS})"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id, state)"
        " insert into lanes (endpoint, open) select id, state = 1 from made",
        endpoint.id,
        endpoint.account,
        endpoint.url,
        endpoint.description,
        list(endpoint.event_types),
        endpoint.state,
        endpoint.state_reason,
        endpoint.revision,
        endpoint.create_time,
        endpoint.update_time,
    )


async def get(reader: Reader, account: UUID, id: UUID) -> Endpoint | None:
    """The account's endpoint, if there is one."""
    row = await reader.fetchrow(
        f"select {_COLUMNS} from endpoints where id = $1 and account = $2", id, account
    )
    return _endpoint(row) if row else None


async def lock(tx: Tx, account: UUID, id: UUID) -> Endpoint | None:
    """The account's endpoint, locked until the transaction ends; its lane first, as ever."""
    if await get(tx, account, id) is None:
        return None
    await tx.execute("select 1 from lanes where endpoint = $1 for update", id)
    await tx.execute("select 1 from endpoints where id = $1 for update", id)
    return await get(tx, account, id)


async def list_page(
    reader: Reader, account: UUID, where: Where, before: UUID | None, limit: int
) -> list[Endpoint]:
    """At most `limit` endpoints, newest first, older than `before`. `where` counts from $4."""
    rows = await reader.fetch(
        f"select {_COLUMNS} from endpoints where account = $1 and ($2::uuid is null or id < $2)"
        f" and {where.sql} order by id desc limit $3",
        account,
        before,
        limit,
        *where.params,
    )
    return [_endpoint(row) for row in rows]


async def count(tx: Tx, account: UUID) -> int:
    """How many the account has. Creating is serial per account from here on, so that it stays."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"ep {account}")
    number: int = await tx.fetchval("select count(*) from endpoints where account = $1", account)
    return number


async def delete(tx: Tx, id: UUID) -> None:
    """Takes the endpoint, its secrets and its lane away, and notes that deliveries may be left.

    The lane goes first: whoever is about to make a delivery wait in it finishes before, or finds
    it gone.
    """
    await tx.execute("delete from lanes where endpoint = $1", id)
    await tx.execute("delete from endpoints where id = $1", id)
    await lanes.note_removed(tx, [id])


async def disable(tx: Tx, ids: Sequence[UUID], reason: str) -> list[UUID]:
    """Holds endpoints, with a reason; those that are held already stay as they are. Answers which
    it was news to."""
    rows = await tx.fetch(
        "with held as (update endpoints set state = $2, state_reason = $3,"
        " revision = revision + 1, update_time = now() where id = any($1) and state = 1"
        " returning id)"
        " update lanes set open = false where endpoint in (select id from held)"
        " returning endpoint",
        ids,
        EndpointState.DISABLED,
        reason,
    )
    return [row["endpoint"] for row in rows]


async def add_secret(
    tx: Tx, vault: Vault, id: UUID, key: bytes, overlap_end: datetime | None
) -> None:
    """Makes `key` the current one. The one before signs along until `overlap_end`, if that is set;
    any older one stops now."""
    await tx.execute(
        "delete from endpoint_secrets where endpoint = $1"
        " and (expire_time is not null or $2::timestamptz is null)",
        id,
        overlap_end,
    )
    await tx.execute(
        "update endpoint_secrets set expire_time = $2 where endpoint = $1", id, overlap_end
    )
    await tx.execute(
        "insert into endpoint_secrets (endpoint, version, key_id, sealed) select $1,"
        " 1 + coalesce(max(version), 0), $2, $3 from endpoint_secrets where endpoint = $1",
        id,
        vault.current,
        vault.seal(id, key),
    )


async def touch(tx: Tx, id: UUID, now: datetime) -> None:
    """Notes a change of the endpoint: its etag and update time."""
    await tx.execute(
        "update endpoints set revision = revision + 1, update_time = $2 where id = $1", id, now
    )


async def get_secrets(reader: Reader, vault: Vault, id: UUID, now: datetime) -> Secrets | None:
    """The keys that sign at `now`; None where the endpoint is gone."""
    rows = await reader.fetch(
        "select key_id, sealed, expire_time from endpoint_secrets where endpoint = $1"
        " and (expire_time is null or expire_time > $2) order by version desc",
        id,
        now,
    )
    keys = [(vault.open(id, row["key_id"], row["sealed"]), row["expire_time"]) for row in rows]
    if not keys:
        return None
    return Secrets(keys[0][0], *keys[1]) if len(keys) > 1 else Secrets(keys[0][0])


async def reseal(tx: Tx, vault: Vault, limit: int) -> int:
    """Seals at most `limit` secrets anew that an older key holds; answers how many there were."""
    rows = await tx.fetch(
        "select endpoint, version, key_id, sealed from endpoint_secrets where key_id <> $1"
        " limit $2 for update skip locked",
        vault.current,
        limit,
    )
    sealed = []
    for row in rows:
        id = row["endpoint"]
        key = vault.open(id, row["key_id"], row["sealed"])
        sealed.append((id, row["version"], vault.current, vault.seal(id, key)))
    await tx.executemany(
        "update endpoint_secrets set key_id = $3, sealed = $4 where endpoint = $1 and version = $2",
        sealed,
    )
    return len(sealed)


_TARGETS = (
    "select e.id, e.account, e.url, e.event_types, e.state, s.key_id, s.sealed,"
    " b.state as breaker, b.busy"
    " from endpoints e join endpoint_secrets s on s.endpoint = e.id"
    " and (s.expire_time is null or s.expire_time > now())"
    " left join breakers b on b.endpoint = e.id"
)


# Confirmed e-mail addresses too: an account without any costs a look into one index.
_OF_ACCOUNTS = (
    "select e.id, e.account, e.url, e.event_types, e.state, s.key_id, s.sealed, s.version,"
    " b.state as breaker, b.busy"
    " from endpoints e join endpoint_secrets s on s.endpoint = e.id"
    " and (s.expire_time is null or s.expire_time > now())"
    " left join breakers b on b.endpoint = e.id where e.account = any($1)"
    " union all select a.id, a.account, a.email, a.event_types, case when l.open then 1 else 2 end,"
    " null, null, 0, null, null from email_addresses a join lanes l on l.endpoint = a.id"
    " where a.account = any($1) and a.state = 2 and not exists"
    " (select from email_suppressions s where s.email_key = a.email_key)"
    " order by id, version desc"
)


async def targets_of_accounts(
    reader: Reader, vault: Vault, accounts: Sequence[UUID]
) -> list[Target]:
    """All endpoints and confirmed e-mail addresses of these accounts, in the order of their ids."""
    rows = await reader.fetch(_OF_ACCOUNTS, accounts)
    return _targets(vault, rows)


async def targets(reader: Reader, vault: Vault, ids: Sequence[UUID]) -> dict[UUID, Target]:
    """These endpoints, as far as they are there."""
    rows = await reader.fetch(f"{_TARGETS} where e.id = any($1) order by e.id, s.version desc", ids)
    return {target.endpoint: target for target in _targets(vault, rows)}


def _targets(vault: Vault, rows: Sequence[Any]) -> list[Target]:
    keys: dict[UUID, list[bytes]] = {}
    first: dict[UUID, Any] = {}
    for row in rows:
        id = row["id"]
        first.setdefault(id, row)
        if row["sealed"] is None:
            keys[id] = []
        else:
            keys.setdefault(id, []).append(vault.open(id, row["key_id"], row["sealed"]))
    return [
        Target(
            endpoint=id,
            account=row["account"],
            url=row["url"],
            event_types=tuple(row["event_types"]),
            open=row["state"] == EndpointState.ACTIVE,
            keys=tuple(keys[id]),
            gated=bool(row["busy"]) or row["breaker"] not in (None, BreakerState.CLOSED),
            watched=row["breaker"] is not None,
            channel=Channel.WEBHOOK if keys[id] else Channel.EMAIL,
        )
        for id, row in first.items()
    ]


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        id=row["id"],
        account=row["account"],
        url=row["url"],
        description=row["description"],
        event_types=tuple(row["event_types"]),
        state=EndpointState(row["state"]),
        state_reason=row["state_reason"],
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
