"""What can be done with accounts and tokens.

What makes a token is handed its secret: the caller decides whether it can be found again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from gateway.accounts import domain, secrets, store
from gateway.accounts.domain import Account, Owner, Token
from libs.api import idempotency
from libs.api.wire import resource_name, stamp
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, not_found
from libs.ids import Ids
from pq.accounts.v1 import accounts_events_pb2 as events


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is asked to be."""

    display_name: str
    role: int | None
    read_only: bool
    expire_time: datetime | None


class Accounts:
    """The use cases; each mutation runs in its caller's transaction."""

    def __init__(self, db: Database, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids

    async def create_account(self, tx: Tx, display_name: str, secret: str) -> Account:
        """Signs somebody up; `secret` is that of the first token. Raises AppError."""
        now = self._clock.now()
        name = domain.display_name(display_name, "account.display_name")
        account = Account(self._ids.uuid(), name, now)
        await store.insert_account(tx, account)
        asked = NewToken("first token", None, read_only=False, expire_time=None)
        await self._mint(tx, Owner(account.id), asked, secret)
        self._tell(tx, account.id, events.ACCOUNT_CHANGE_CREATED)
        return account

    async def get_account(self, id: UUID) -> Account:
        """Raises AppError (NOT_FOUND)."""
        account = await store.get_account(self._db, id)
        if account is None:
            raise not_found(resource_name("accounts", "acc", id))
        return account

    async def delete_account(self, tx: Tx, id: UUID) -> None:
        """Erases an account with its tokens, and tells everybody. Raises AppError (NOT_FOUND)."""
        name = resource_name("accounts", "acc", id)
        if not await store.delete_account(tx, id):
            raise not_found(name)
        await idempotency.forget(tx, name)
        await store.forget_sign_up(tx, name)
        self._tell(tx, id, events.ACCOUNT_CHANGE_ERASED)

    async def note_export(self, id: UUID) -> Account:
        """Tells that an account's data is handed out. Raises AppError (NOT_FOUND)."""
        account = await self.get_account(id)
        async with self._db.transaction() as tx:
            self._tell(tx, id, events.ACCOUNT_CHANGE_EXPORTED)
        return account

    async def create_token(self, tx: Tx, owner: Owner, asked: NewToken, secret: str) -> Token:
        """Makes a token. Raises AppError at the limit of live tokens."""
        now = self._clock.now()
        domain.display_name(asked.display_name, "token.display_name")
        domain.expiry(asked.expire_time, now)
        # Minting for one owner is serial, so that the limit holds.
        await tx.execute(
            "select pg_advisory_xact_lock(hashtextextended($1, 0))", f"tokens {owner.account}"
        )
        if await store.count_live_tokens(tx, owner, now) >= domain.MAX_TOKENS:
            raise AppError(
                Kind.PRECONDITION,
                "too_many_tokens",
                f"at most {domain.MAX_TOKENS} live tokens; revoke one first",
            )
        return await self._mint(tx, owner, asked, secret)

    async def list_tokens(self, owner: Owner, before: UUID | None, limit: int) -> list[Token]:
        """Newest first."""
        return await store.list_tokens(self._db, owner, before, limit)

    async def revoke_token(self, tx: Tx, owner: Owner, id: UUID) -> Token:
        """Ends a token now. Raises AppError (NOT_FOUND)."""
        now = self._clock.now()
        token = await self._owned(tx, owner, id)
        await store.revoke(tx, id, now)
        return replace(token, revoke_time=min(token.revoke_time or now, now))

    async def rotate_token(
        self, tx: Tx, owner: Owner, id: UUID, overlap: timedelta, secret: str
    ) -> Token:
        """Makes a token's successor and ends it after `overlap`. Raises AppError."""
        now = self._clock.now()
        ends = now + domain.overlap(overlap)
        old = await self._owned(tx, owner, id)
        if not old.is_live(now):
            raise AppError(Kind.PRECONDITION, "token_ended", "the token has ended")
        asked = NewToken(old.display_name, old.role, old.read_only, old.expire_time)
        made = await self._mint(tx, owner, asked, secret)
        await store.revoke(tx, id, ends)
        return made

    async def ensure_operator(self, secret: str, role: int, display_name: str) -> None:
        """Registers a secret that was made outside, by whoever set the product up."""
        if not secrets.is_wellformed(secret):
            raise AppError(Kind.INVALID, "malformed_token", "that is no token of ours")
        token = self._token(Owner(None), NewToken(display_name, role, False, None), secret)
        async with self._db.transaction() as tx:
            await store.insert_token(tx, token, secrets.digest(secret))

    async def _owned(self, tx: Tx, owner: Owner, id: UUID) -> Token:
        token = await store.token_of(tx, owner, id)
        if token is None:
            raise not_found(resource_name("tokens", "tok", id))
        return token

    async def _mint(self, tx: Tx, owner: Owner, asked: NewToken, secret: str) -> Token:
        token = self._token(owner, asked, secret)
        await store.insert_token(tx, token, secrets.digest(secret))
        return token

    def _tell(self, tx: Tx, account: UUID, change: events.AccountChange.ValueType) -> None:
        changed = events.AccountChanged(
            account=resource_name("accounts", "acc", account),
            change=change,
            change_time=stamp(self._clock.now()),
        )
        tx.publish(changed)

    def _token(self, owner: Owner, asked: NewToken, secret: str) -> Token:
        return Token(
            id=self._ids.uuid(),
            hint=secrets.hint(secret),
            account=owner.account,
            role=asked.role,
            read_only=asked.read_only,
            display_name=asked.display_name,
            create_time=self._clock.now(),
            expire_time=asked.expire_time,
        )
