"""Mutations that are safe to repeat: request id and answer live in the mutation's transaction.

A repeat with the same body gets the first answer; with another body it is refused (422); while the
first is under way it is told so (409). The lock comes before the look: the row of a transaction
that has not committed cannot be seen.

No secret is stored. Where an answer shows one, `once_with_secret` keeps a salt instead, from which
this process, and nobody who has the database alone, finds the secret again for as long as the
answer is kept.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b, sha256, shake_256
from pathlib import Path
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from libs.db import Database, Reader, Tx
from libs.errors import AppError, Kind, invalid

MIGRATIONS = Path(__file__).with_name("migrations")
LIFETIME = timedelta(hours=24)
MAX_LENGTH = 255

_NONCE, _CHECK = 24, 8  # bytes of a salt

M = TypeVar("M", bound=Message)
Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes two calls the same: whose they are, which RPC, and the caller's own id.

    An empty `request_id` means that the caller asked for nothing of the kind.
    """

    scope: str
    method: str
    request_id: str

    @property
    def lock(self) -> int:
        """A 64-bit number for the advisory lock."""
        text = f"{self.scope}\x00{self.method}\x00{self.request_id}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)


@dataclass(frozen=True, slots=True)
class Answer(Generic[M]):
    """The response, and whether it is that of an earlier call."""

    response: M
    replayed: bool
    salt: bytes = b""


class Recall:
    """Random bytes that can be found again although nobody kept them.

    They follow from a key, which is in no database, and from a salt, which is kept with an answer
    and goes with it: after that nothing brings them back. `key` has at least 32 bytes and is equal
    in all replicas; what is made of it here serves nothing else.
    """

    def __init__(self, key: bytes, random: Random = os.urandom) -> None:
        self._key = hmac.digest(key, b"pq.api.idempotency.recall", "sha256")
        self.random = random

    def salt(self) -> bytes:
        """A new salt."""
        nonce = self.random(_NONCE)
        return nonce + self._check(nonce)

    def knows(self, salt: bytes) -> bool:
        """Whether it was made with this key: the key may have been changed since."""
        return hmac.compare_digest(salt[_NONCE:], self._check(salt[:_NONCE]))

    def drawn(self, salt: bytes) -> Random:
        """What gives the salt's bytes, from the first, each time it is asked."""
        seed = hmac.digest(self._key, b"bytes" + salt, "sha256")
        return lambda count: shake_256(seed).digest(count)

    def blind(self, text: str) -> str:
        """Stands for a text that shall not be stored, such as an address, in a scope."""
        return hmac.digest(self._key, b"blind" + text.encode(), "sha256").hex()[:32]

    def _check(self, nonce: bytes) -> bytes:
        return hmac.digest(self._key, b"check" + nonce, "sha256")[:_CHECK]


@dataclass(frozen=True, slots=True)
class Secret:
    """The secret in an answer: the field that shows it, and how it is made of random bytes."""

    field: str
    make: Callable[[Random], str]


async def once(
    tx: Tx,
    key: RequestKey,
    request: Message,
    handle: Callable[[], Awaitable[M]],
    response_type: type[M],
    *,
    now: datetime,
    keep: Callable[[M], M] = lambda response: response,
    salt: bytes = b"",
) -> Answer[M]:
    """Runs `handle` unless this very request was answered before.

    `keep` takes out of the response what must not be stored, such as a secret; whoever uses it puts
    it back on a replay, for which `salt` is kept along and comes back. Raises AppError:
    UNPROCESSABLE for another body under the same id, ABORTED while the first call is under way,
    INVALID for an id that cannot be one.
    """
    if not key.request_id:
        return Answer(await handle(), replayed=False)
    _check(key.request_id)
    if not await tx.fetchval("select pg_try_advisory_xact_lock($1)", key.lock):
        raise AppError(
            Kind.ABORTED,
            "request_in_flight",
            "a request with this id is under way; repeat it in a moment",
            retry_after=1,
        )
    row = await _find(tx, key, now)
    if row is not None:
        found = _same(row, request)
        return Answer(response_type.FromString(found["response"]), True, found["salt"] or b"")
    response = await handle()
    await _store(tx, key, fingerprint(request), keep(response), salt, now)
    return Answer(response, False, salt)


async def answered(
    db: Database, key: RequestKey, request: Message, response_type: type[M], *, now: datetime
) -> M | None:
    """What `once` answered to this very request before, if it did.

    For calls that do something outside of the database first, and record it by `once` then. Raises
    AppError UNPROCESSABLE for another body under the same id, INVALID for an id that cannot be one.
    """
    if not key.request_id:
        return None
    _check(key.request_id)
    row = await _find(db, key, now)
    return response_type.FromString(_same(row, request)["response"]) if row is not None else None


async def once_with_secret(
    tx: Tx,
    key: RequestKey,
    request: Message,
    handle: Callable[[str], Awaitable[M]],
    response_type: type[M],
    *,
    now: datetime,
    secret: Secret,
    recall: Recall,
) -> Answer[M]:
    """As `once`, for an answer that shows a secret, which `handle` is given and which is not kept.

    A replay shows it again, and leaves it empty where the key of `recall` was changed meanwhile.
    """
    salt = recall.salt() if key.request_id else b""
    # A secret that nobody may ask for again hangs on nothing but chance.
    made = secret.make(recall.drawn(salt) if salt else recall.random)

    def keep(response: M) -> M:
        kept = response_type()
        kept.CopyFrom(response)
        kept.ClearField(secret.field)
        return kept

    answer = await once(
        tx, key, request, lambda: handle(made), response_type, now=now, keep=keep, salt=salt
    )
    if answer.replayed:
        made = secret.make(recall.drawn(answer.salt)) if recall.knows(answer.salt) else ""
    setattr(answer.response, secret.field, made)
    return answer


async def _find(reader: Reader, key: RequestKey, now: datetime) -> Any:
    return await reader.fetchrow(
        "select fingerprint, response, salt from request_keys"
        " where scope = $1 and method = $2 and request_id = $3 and create_time > $4",
        key.scope,
        key.method,
        key.request_id,
        now - LIFETIME,
    )


def _same(row: Any, request: Message) -> Any:
    if row["fingerprint"] != fingerprint(request):
        raise AppError(
            Kind.UNPROCESSABLE, "request_id_reused", "this request id was used for another request"
        )
    return row


def fingerprint(request: Message) -> bytes:
    """A digest of the request without its id."""
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    return sha256(bare.SerializeToString(deterministic=True)).digest()


async def forget(tx: Tx, scope: str) -> None:
    """Forgets whatever was answered to `scope`: it is gone, and its answers tell of it."""
    await tx.execute("delete from request_keys where scope = $1", scope)


async def purge(db: Database, now: datetime) -> None:
    """Forgets what is older than a day."""
    await db.execute("delete from request_keys where create_time <= $1", now - LIFETIME)


def _check(request_id: str) -> None:
    if len(request_id) > MAX_LENGTH or not request_id.isascii() or not request_id.isprintable():
        raise invalid("request_id", f"expected at most {MAX_LENGTH} printable ASCII characters")


async def _store(
    tx: Tx, key: RequestKey, mark: bytes, response: Message, salt: bytes, now: datetime
) -> None:
    await tx.execute(
        "insert into request_keys"
        " (scope, method, request_id, fingerprint, response, create_time, salt)"
        " values ($1, $2, $3, $4, $5, $6, $7)"
        " on conflict (scope, method, request_id) do update set"
        " fingerprint = excluded.fingerprint, response = excluded.response,"
        " create_time = excluded.create_time,"  # only a row past its lifetime can be there
        " salt = excluded.salt",
        key.scope,
        key.method,
        key.request_id,
        mark,
        response.SerializeToString(),
        now,
        salt or None,
    )
