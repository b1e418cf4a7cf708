"""From a token in a header to a caller and the access token that tells the services so."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from gateway.accounts import secrets, store
from gateway.accounts.domain import Token
from gateway.http.auth import NOBODY, Identity
from libs.api.wire import resource_name
from libs.auth import Caller, Role
from libs.auth.tokens import CallerTokens
from libs.clock import Clock
from libs.db import Database, is_transient
from libs.errors import AppError, Kind

log = logging.getLogger(__name__)

# For how long a verdict is believed without asking the database. A revoked token opens doors at the
# gateway for no longer than this.
VERDICT_SECONDS = 15.0
# While the database is away, a token seen this recently is still believed: the access tokens made
# from it would be as well.
GRACE_SECONDS = 300.0
TOUCH_SECONDS = 30.0
CACHE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class _Verdict:
    token: Token
    caller: Caller
    seen: float


class TokenAuthenticator:
    """The Authenticator that knows the tokens of this gateway's database."""

    def __init__(self, db: Database, access: CallerTokens, clock: Clock) -> None:
        self._db = db
        self._access = access
        self._clock = clock
        self._verdicts: dict[bytes, _Verdict] = {}
        self._used: set[UUID] = set()

    async def authenticate(self, authorization: str | None) -> Identity:
        """See gateway.http.auth.Authenticator."""
        if authorization is None:
            return NOBODY
        scheme, _, secret = authorization.partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secrets.is_wellformed(secret):
            raise _refused("token_malformed", "expected 'Bearer pq_…' with a token of pq")
        verdict = await self._verdict(secrets.digest(secret))
        if not verdict.token.is_live(self._clock.now()):
            raise _refused("token_ended", "the token has expired or was revoked")
        self._used.add(verdict.token.id)
        return Identity(verdict.caller, self._access.token(verdict.caller))

    def forget(self, account: UUID) -> None:
        """The account is gone: its tokens are asked for anew. Other replicas believe them for as
        long as a verdict holds."""
        for digest, verdict in list(self._verdicts.items()):
            if verdict.token.account == account:
                del self._verdicts[digest]

    async def keep_uses(self) -> None:
        """Writes down, every half minute and for all at once, which tokens were used."""
        while True:
            await asyncio.sleep(TOUCH_SECONDS)
            await self.flush_uses()

    async def flush_uses(self) -> None:
        """Writes down which tokens were used since the last time."""
        used, self._used = self._used, set()
        if used:
            try:
                await store.touch(self._db, sorted(used), self._clock.now())
            except BaseException:
                self._used |= used
                raise

    async def _verdict(self, digest: bytes) -> _Verdict:
        now = self._clock.monotonic()
        known = self._verdicts.get(digest)
        if known is not None and now - known.seen < VERDICT_SECONDS:
            return known
        try:
            token = await store.token_by_digest(self._db, digest)
        except Exception as error:
            if not is_transient(error):
                raise
            if known is not None and now - known.seen < GRACE_SECONDS:
                return known
            raise AppError(
                Kind.UNAVAILABLE,
                "database_unavailable",
                "tokens cannot be checked just now",
                retry_after=1,
            ) from error
        if token is None:
            raise _refused("token_unknown", "no such token")
        while len(self._verdicts) >= CACHE_SIZE:
            del self._verdicts[next(iter(self._verdicts))]
        self._verdicts[digest] = verdict = _Verdict(token, _caller(token), now)
        return verdict


def _caller(token: Token) -> Caller:
    if token.account is not None:
        return Caller.for_account(token.account, read_only=token.read_only)
    subject = resource_name("tokens", "tok", token.id)
    return Caller.for_operator(subject, Role(token.role or 0), read_only=token.read_only)


def _refused(reason: str, message: str) -> AppError:
    return AppError(Kind.UNAUTHENTICATED, reason, message)
