"""Endpoints, their lanes, and what sending to them needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.api.filters import Where
from libs.db import Reader, Tx
from services.delivery.domain.model import (
    Endpoint,
    EndpointState,
    Verification,
)
from services.delivery.domain.settings import Ordering, Settings, SignatureKind
from services.delivery.store import endpoint_secrets, endpoint_targets, lanes
from services.delivery.store.vault import HEADERS, Vault, VaultError

_COLUMNS = (
    "id, account, state, state_reason, coalesce(state_time, create_time) as state_time,"
    " verification, verification_reason, verify_time, revision, create_time, update_time,"
    " url, description, event_types, metadata, headers_key_id, headers_sealed, cards, portfolios,"
    " rate_limit, max_in_flight, ordering, retry_delays, deliver_within, signatures"
)
_SETTINGS = (
    "url, description, event_types, metadata, cards, portfolios, rate_limit, max_in_flight,"
    " ordering, retry_delays, deliver_within, signatures"
)


async def insert(tx: Tx, vault: Vault, endpoint: Endpoint) -> None:
    """Adds an endpoint and its lane, which is open if the endpoint is active."""
    await tx.execute(
        "with made as (insert into endpoints (id, account, state, state_reason, state_time,"
        f" verification, revision, create_time, update_time, {_SETTINGS})"
        " values ($1, $2, $3, $4, $5, $6, $7, $5, $5, $8, $9, $10, $11::jsonb, $12, $13, $14, $15,"
        " $16, $17, $18, $19) returning id, state)"
        " insert into lanes (endpoint, open) select id, state = 1 from made",
        endpoint.id,
        endpoint.account,
        endpoint.state,
        endpoint.state_reason,
        endpoint.create_time,
        endpoint.verification,
        endpoint.revision,
        *_values(endpoint.settings),
    )
    if endpoint.settings.headers:
        await set_headers(tx, vault, endpoint.id, endpoint.settings.headers)


async def update(tx: Tx, id: UUID, settings: Settings, now: datetime) -> None:
    """Gives an endpoint other settings; its headers stay."""
    await tx.execute(
        "update endpoints set revision = revision + 1, update_time = $2,"
        f" ({_SETTINGS}) = row($3, $4, $5, $6::jsonb, $7, $8, $9, $10, $11, $12, $13, $14)"
        " where id = $1",
        id,
        now,
        *_values(settings),
    )


async def set_headers(tx: Tx, vault: Vault, id: UUID, headers: Mapping[str, str]) -> None:
    """Gives an endpoint other headers. They are sealed, for they often carry credentials."""
    told = json.dumps(dict(headers)).encode()
    await tx.execute(
        "update endpoints set headers_key_id = $2, headers_sealed = $3 where id = $1",
        id,
        vault.current if headers else None,
        vault.seal(id, told, HEADERS) if headers else None,
    )


async def set_state(tx: Tx, id: UUID, state: EndpointState, reason: str, now: datetime) -> None:
    """Holds an endpoint, or sends to it again. Needs its locks."""
    await tx.execute(
        "with changed as (update endpoints set state = $2, state_reason = $3, state_time = $4,"
        " revision = revision + 1, update_time = $4 where id = $1 returning id),"
        " anew as (update breakers set failing_since = null, warned = false where endpoint = $1)"
        " update lanes set open = $2 = 1::smallint where endpoint in (select id from changed)",
        id,
        state,
        reason,
        now,
    )


async def set_verification(
    tx: Tx, id: UUID, verification: Verification, reason: str, now: datetime
) -> None:
    """Notes how a challenge went."""
    await tx.execute(
        "update endpoints set verification = $2, verification_reason = $3, revision = revision + 1,"
        " update_time = $4, verify_time = case when $2 = 3::smallint then $4 else verify_time end"
        " where id = $1",
        id,
        verification,
        reason,
        now,
    )


async def get(reader: Reader, vault: Vault, account: UUID, id: UUID) -> Endpoint | None:
    """The account's endpoint, if there is one."""
    row = await reader.fetchrow(
        f"select {_COLUMNS} from endpoints where id = $1 and account = $2", id, account
    )
    return _endpoint(vault, row) if row else None


async def lock(tx: Tx, vault: Vault, account: UUID, id: UUID) -> Endpoint | None:
    """The account's endpoint, locked until the transaction ends; its lane first, as ever."""
    if not await exists(tx, account, id):
        return None
    await tx.execute("select 1 from lanes where endpoint = $1 for update", id)
    await tx.execute("select 1 from endpoints where id = $1 for update", id)
    return await get(tx, vault, account, id)


async def exists(reader: Reader, account: UUID, id: UUID) -> bool:
    """Whether the account has this endpoint."""
    found = await reader.fetchval(
        "select 1 from endpoints where id = $1 and account = $2", id, account
    )
    return found is not None


async def owner(reader: Reader, id: UUID) -> UUID | None:
    """Whose this endpoint is; None where it is not there."""
    found: UUID | None = await reader.fetchval("select account from endpoints where id = $1", id)
    return found


async def list_page(
    reader: Reader, vault: Vault, account: UUID, where: Where, before: UUID | None, limit: int
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
    return [_endpoint(vault, row) for row in rows]


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
        "with held as (update endpoints set state = $2, state_reason = $3, state_time = now(),"
        " revision = revision + 1, update_time = now() where id = any($1) and state = 1"
        " returning id)"
        " update lanes set open = false where endpoint in (select id from held)"
        " returning endpoint",
        ids,
        EndpointState.DISABLED,
        reason,
    )
    return [row["endpoint"] for row in rows]


async def revive(tx: Tx, vault: Vault, reason: str) -> int:
    """Sends again to those endpoints that could not sign and now can; answers how many."""
    rows = await tx.fetch(
        "select id from endpoints where state = $1 and state_reason = $2 order by id",
        EndpointState.DISABLED,
        reason,
    )
    found = await endpoint_targets.get(tx, vault, [row["id"] for row in rows])
    able = [id for id, target in found.items() if target.keys or target.signers]
    await tx.execute(
        "with able as (update endpoints set state = $2, state_reason = '', state_time = now(),"
        " revision = revision + 1, update_time = now() where id = any($1) and state_reason = $3"
        " returning id)"
        " update lanes set open = true where endpoint in (select id from able)",
        able,
        EndpointState.ACTIVE,
        reason,
    )
    return len(able)


async def touch(tx: Tx, id: UUID, now: datetime) -> None:
    """Notes a change of the endpoint: its etag and update time."""
    await tx.execute(
        "update endpoints set revision = revision + 1, update_time = $2 where id = $1", id, now
    )


def _values(settings: Settings) -> list[Any]:
    """In the order of _SETTINGS."""
    return [
        settings.url,
        settings.description,
        list(settings.event_types),
        json.dumps(dict(settings.metadata)),
        list(settings.cards),
        list(settings.portfolios),
        settings.rate_limit,
        settings.max_in_flight,
        settings.ordering,
        list(settings.retry_delays) or None,
        settings.deliver_within,
        list(settings.signatures),
    ]


def _endpoint(vault: Vault, row: Any) -> Endpoint:
    return Endpoint(
        id=row["id"],
        account=row["account"],
        settings=_settings(vault, row),
        state=EndpointState(row["state"]),
        state_reason=row["state_reason"],
        state_time=row["state_time"],
        verification=Verification(row["verification"]),
        verification_reason=row["verification_reason"],
        verify_time=row["verify_time"],
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def _settings(vault: Vault, row: Any) -> Settings:
    try:
        headers = endpoint_secrets.open_headers(vault, row["id"], row)
    except VaultError:  # nothing is sent then; what else there is can be shown all the same
        headers = {}
    return Settings(
        url=row["url"],
        description=row["description"],
        event_types=tuple(row["event_types"]),
        metadata=json.loads(row["metadata"]),
        headers=headers,
        cards=tuple(row["cards"]),
        portfolios=tuple(row["portfolios"]),
        rate_limit=row["rate_limit"],
        max_in_flight=row["max_in_flight"],
        ordering=Ordering(row["ordering"]),
        retry_delays=tuple(row["retry_delays"] or ()),
        deliver_within=row["deliver_within"],
        signatures=tuple(SignatureKind(kind) for kind in row["signatures"]),
    )
