"""What sending to endpoints and addresses needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.db import Reader
from services.delivery.domain.breaker import BreakerState
from services.delivery.domain.model import Channel, EndpointState, Target
from services.delivery.domain.settings import Ordering, SignatureKind, schedule
from services.delivery.store import endpoint_secrets
from services.delivery.store.vault import Signer, Vault, VaultError

_OF_ENDPOINTS = (
    "select e.id, e.account, e.url, e.event_types, e.state, s.key_id, s.sealed, s.version,"
    " s.signer_sealed, b.state as breaker, b.busy, e.cards, e.portfolios, e.headers_key_id,"
    " e.headers_sealed, e.rate_limit, e.max_in_flight, e.ordering, e.retry_delays,"
    " e.deliver_within, e.signatures, false as digest, e.revision"
    " from endpoints e join endpoint_secrets s on s.endpoint = e.id"
    " and (s.expire_time is null or s.expire_time > now())"
    " left join breakers b on b.endpoint = e.id"
)
_TARGETS = f"{_OF_ENDPOINTS} where e.id = any($1) order by e.id, s.version desc"
# Confirmed e-mail addresses too: an account without any costs a look into one index.
_OF_ACCOUNTS = (
    f"{_OF_ENDPOINTS} where e.account = any($1)"
    " union all select a.id, a.account, a.email, a.event_types, case when l.open then 1 else 2 end,"
    " null, null, 0, null, null, null, '{}', '{}', null, null, null, null, 1, null, null, '{}',"
    " a.digest_hour is not null, 0"
    " from email_addresses a join lanes l on l.endpoint = a.id"
    " where a.account = any($1) and a.state = 2 and not exists"
    " (select from email_suppressions s where s.email_key = a.email_key)"
    " order by id, version desc"
)


async def of_accounts(reader: Reader, vault: Vault, accounts: Sequence[UUID]) -> list[Target]:
    """All endpoints and confirmed e-mail addresses of these accounts, in the order of their ids."""
    rows = await reader.fetch(_OF_ACCOUNTS, accounts)
    return _targets(vault, rows)


async def get(reader: Reader, vault: Vault, ids: Sequence[UUID]) -> dict[UUID, Target]:
    """These endpoints, as far as they are there."""
    rows = await reader.fetch(_TARGETS, ids)
    return {target.endpoint: target for target in _targets(vault, rows)}


async def changed(reader: Reader, known: Mapping[UUID, int]) -> list[UUID]:
    """Of endpoints, each with the revision that is known, those that have another or are gone."""
    rows = await reader.fetch(
        "select k.id from unnest($1::uuid[], $2::bigint[]) as k (id, revision)"
        " left join endpoints e using (id) where e.revision is distinct from k.revision",
        list(known),
        list(known.values()),
    )
    return [row["id"] for row in rows]


def _targets(vault: Vault, rows: Sequence[Any]) -> list[Target]:
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row)
    return [_target(vault, rows) for rows in found.values()]


def _target(vault: Vault, rows: Sequence[Any]) -> Target:
    """Of one row a secret, the newest first. A target whose secrets cannot be opened signs nothing,
    by which the channel knows it; the others must not suffer from it."""
    row = rows[0]
    id, ordering = row["id"], row["ordering"]
    delays, breaker = row["retry_delays"], row["breaker"]
    keys, signers, headers = _opened(vault, rows)
    return Target(
        endpoint=id,
        account=row["account"],
        url=row["url"],
        event_types=tuple(row["event_types"]),
        open=row["state"] == EndpointState.ACTIVE,
        keys=keys,
        channel=Channel.EMAIL if row["sealed"] is None else Channel.WEBHOOK,
        gated=_is_gated(row),
        watched=breaker is not None,
        subjects=frozenset(row["cards"] + row["portfolios"]),
        headers=headers,
        rate_limit=row["rate_limit"],
        max_in_flight=row["max_in_flight"],
        ordered=ordering == Ordering.PER_KEY,
        schedule=schedule(tuple(delays or ()), ordering),
        deliver_within=row["deliver_within"],
        signers=signers,
        digest=row["digest"],
        revision=row["revision"],
    )


def _is_gated(row: Any) -> bool:
    """Whether something decides message by message how much of the lane may be taken."""
    return (
        bool(row["busy"])
        or row["breaker"] not in (None, BreakerState.CLOSED)
        or row["rate_limit"] is not None
        or row["max_in_flight"] is not None
        or row["ordering"] == Ordering.PER_KEY
    )


def _opened(
    vault: Vault, rows: Sequence[Any]
) -> tuple[tuple[bytes, ...], tuple[Signer, ...], Mapping[str, str]]:
    row = rows[0]
    if row["sealed"] is None:
        return (), (), {}
    kinds, id = row["signatures"], row["id"]
    try:
        signers = tuple(
            vault.signer(id, row["key_id"], row["signer_sealed"])
            for row in rows
            if row["signer_sealed"] is not None and (not kinds or SignatureKind.V1A in kinds)
        )
        # One that is to sign with v1a alone signs so as soon as its key pair is made.
        plain = not kinds or SignatureKind.V1 in kinds or not signers
        keys = tuple(vault.open(id, row["key_id"], row["sealed"]) for row in rows if plain)
        return keys, signers, endpoint_secrets.open_headers(vault, id, row)
    except VaultError:
        return (), (), {}
