"""What endpoints sign with: a secret for v1 and a key pair for v1a, both of one version."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.db import Reader, Tx
from services.delivery.domain.model import Secrets
from services.delivery.store.vault import HEADERS, PRIVATE_KEY, Vault, VaultError, public_key

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pair:
    """What one version signs with: the secret, and the private key, 32 bytes."""

    secret: bytes
    private: bytes


@dataclass(frozen=True, slots=True)
class Version:
    """One version, as far as it may be shown. `secret` is None where it cannot be opened;
    `public_key` where it is still to be made."""

    number: int
    secret: bytes | None
    public_key: bytes | None
    create_time: datetime | None
    expire_time: datetime | None


async def add(
    tx: Tx, vault: Vault, id: UUID, pair: Pair, overlap_end: datetime | None, now: datetime
) -> None:
    """Makes `pair` the newest. The one before signs along until `overlap_end`, if that is set; any
    older one stops now."""
    version = await tx.fetchval(
        "select 1 + coalesce(max(version), 0) from endpoint_secrets where endpoint = $1", id
    )
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
        "insert into endpoint_secrets (endpoint, version, key_id, sealed, signer_sealed,"
        " public_key, create_time) values ($1, $2, $3, $4, $5, $6, $7)",
        id,
        version,
        vault.current,
        vault.seal(id, pair.secret),
        vault.seal(id, pair.private, PRIVATE_KEY),
        public_key(pair.private),
        now,
    )


async def versions(reader: Reader, vault: Vault, id: UUID, now: datetime) -> list[Version]:
    """What signs at `now`, the newest first; none where the endpoint is gone."""
    rows = await reader.fetch(
        "select version, key_id, sealed, public_key, create_time, expire_time"
        " from endpoint_secrets where endpoint = $1"
        " and (expire_time is null or expire_time > $2) order by version desc",
        id,
        now,
    )
    return [_version(vault, id, row) for row in rows]


async def get(reader: Reader, vault: Vault, id: UUID, now: datetime) -> Secrets | None:
    """The secrets that sign at `now`; None where the endpoint is gone. Raises VaultError."""
    found = await versions(reader, vault, id, now)
    keys = [version.secret for version in found if version.secret is not None]
    if len(keys) < len(found):
        raise VaultError("no key that is configured opens this secret")
    if not keys:
        return None
    return Secrets(keys[0], keys[1], found[1].expire_time) if len(keys) > 1 else Secrets(keys[0])


async def complete(
    tx: Tx, vault: Vault, limit: int, random: Callable[[int], bytes] = os.urandom
) -> int:
    """Makes key pairs for at most `limit` secrets that have none; answers how many there were."""
    rows = await tx.fetch(
        "select endpoint, version, key_id, sealed from endpoint_secrets where public_key is null"
        " and key_id = $2 limit $1 for update skip locked",
        limit,
        vault.current,
    )
    made = []
    for row in rows:
        private = random(KEY_BYTES)
        sealed = vault.seal(row["endpoint"], private, PRIVATE_KEY)
        made.append((row["endpoint"], row["version"], sealed, public_key(private)))
    await tx.executemany(
        "update endpoint_secrets set signer_sealed = $3, public_key = $4"
        " where endpoint = $1 and version = $2",
        made,
    )
    return len(made)


async def reseal(tx: Tx, vault: Vault, after: UUID | None, limit: int) -> tuple[int, UUID | None]:
    """Seals anew what an older key holds of at most `limit` endpoints that come after `after`.

    Answers how many secrets that were, and the last endpoint; None where there are no more. What
    no key opens stays as it is.
    """
    ids = [
        row["id"]
        for row in await tx.fetch(
            "select e.id from endpoints e where ($1::uuid is null or e.id > $1) and ("
            " e.headers_key_id <> $2 or exists (select from endpoint_secrets s"
            " where s.endpoint = e.id and s.key_id <> $2))"
            " order by e.id limit $3 for update skip locked",
            after,
            vault.current,
            limit,
        )
    ]
    if not ids:
        return 0, None
    done = await _reseal_secrets(tx, vault, ids)
    await _reseal_headers(tx, vault, ids)
    return done, ids[-1]


async def _reseal_secrets(tx: Tx, vault: Vault, ids: Sequence[UUID]) -> int:
    rows = await tx.fetch(
        "select endpoint, version, key_id, sealed, signer_sealed from endpoint_secrets"
        " where endpoint = any($1::uuid[]) and key_id <> $2 for update",
        ids,
        vault.current,
    )
    sealed = []
    for row in rows:
        id, signer = row["endpoint"], row["signer_sealed"]
        try:
            secret = vault.open(id, row["key_id"], row["sealed"])
            private = None if signer is None else vault.open(id, row["key_id"], signer, PRIVATE_KEY)
        except VaultError:
            continue
        kept = None if private is None else vault.seal(id, private, PRIVATE_KEY)
        sealed.append((id, row["version"], vault.current, vault.seal(id, secret), kept))
    await tx.executemany(
        "update endpoint_secrets set key_id = $3, sealed = $4, signer_sealed = $5"
        " where endpoint = $1 and version = $2",
        sealed,
    )
    return len(sealed)


async def _reseal_headers(tx: Tx, vault: Vault, ids: Sequence[UUID]) -> None:
    rows = await tx.fetch(
        "select id, headers_key_id, headers_sealed from endpoints"
        " where id = any($1::uuid[]) and headers_key_id <> $2",
        ids,
        vault.current,
    )
    sealed = []
    for row in rows:
        try:
            told = vault.open(row["id"], row["headers_key_id"], row["headers_sealed"], HEADERS)
        except VaultError:
            continue
        sealed.append((row["id"], vault.current, vault.seal(row["id"], told, HEADERS)))
    await tx.executemany(
        "update endpoints set headers_key_id = $2, headers_sealed = $3 where id = $1", sealed
    )


def open_headers(vault: Vault, id: UUID, row: Any) -> dict[str, str]:
    """The headers that an endpoint's owner set, of a row with their columns. Raises VaultError."""
    if row["headers_sealed"] is None:
        return {}
    told = vault.open(id, row["headers_key_id"], row["headers_sealed"], HEADERS)
    headers: dict[str, str] = json.loads(told)
    return headers


def _version(vault: Vault, id: UUID, row: Any) -> Version:
    try:
        secret = vault.open(id, row["key_id"], row["sealed"])
    except VaultError:
        secret = None
    return Version(
        number=row["version"],
        secret=secret,
        public_key=row["public_key"],
        create_time=row["create_time"],
        expire_time=row["expire_time"],
    )
