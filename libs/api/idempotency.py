"""Mutations that are safe to repeat: request id and answer live in the mutation's transaction.

A repeat with the same body gets the first answer; with another body it is refused (422); while the
first is under way it is told so (409). The lock comes before the look: the row of a transaction
that has not committed cannot be seen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Generic, TypeVar

from google.protobuf.message import Message

from libs.db import Database, Tx
from libs.errors import AppError, Kind, invalid

MIGRATIONS = Path(__file__).with_name("migrations")
LIFETIME = timedelta(hours=24)
MAX_LENGTH = 255

M = TypeVar("M", bound=Message)


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


async def once(
    tx: Tx,
    key: RequestKey,
    request: Message,
    handle: Callable[[], Awaitable[M]],
    response_type: type[M],
    *,
    now: datetime,
    keep: Callable[[M], M] = lambda response: response,
) -> Answer[M]:
    """Runs `handle` unless this very request was answered before.

    `keep` takes out of the response what must not be stored, such as a secret; whoever uses it puts
    it back on a replay. Raises AppError: UNPROCESSABLE for another body under the same id, ABORTED
    while the first call is under way, INVALID for an id that cannot be one.
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
    mark = fingerprint(request)
    row = await tx.fetchrow(
        "select fingerprint, response from request_keys"
        " where scope = $1 and method = $2 and request_id = $3 and create_time > $4",
        key.scope,
        key.method,
        key.request_id,
        now - LIFETIME,
    )
    if row is not None:
        if row["fingerprint"] != mark:
            raise AppError(
                Kind.UNPROCESSABLE,
                "request_id_reused",
                "this request id was used for another request",
            )
        return Answer(response_type.FromString(row["response"]), replayed=True)
    response = await handle()
    await _store(tx, key, mark, keep(response), now)
    return Answer(response, replayed=False)


def fingerprint(request: Message) -> bytes:
    """A digest of the request without its id."""
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    return sha256(bare.SerializeToString(deterministic=True)).digest()


async def purge(db: Database, now: datetime) -> None:
    """Forgets what is older than a day."""
    await db.execute("delete from request_keys where create_time <= $1", now - LIFETIME)


def _check(request_id: str) -> None:
    if len(request_id) > MAX_LENGTH or not request_id.isascii() or not request_id.isprintable():
        raise invalid("request_id", f"expected at most {MAX_LENGTH} printable ASCII characters")


async def _store(tx: Tx, key: RequestKey, mark: bytes, response: Message, now: datetime) -> None:
    await tx.execute(
        "insert into request_keys (scope, method, request_id, fingerprint, response, create_time)"
        " values ($1, $2, $3, $4, $5, $6)"
        " on conflict (scope, method, request_id) do update set"
        " fingerprint = excluded.fingerprint, response = excluded.response,"
        " create_time = excluded.create_time",  # only a row past its lifetime can be there
        key.scope,
        key.method,
        key.request_id,
        mark,
        response.SerializeToString(),
        now,
    )
