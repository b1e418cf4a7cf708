"""The use cases around endpoints; each mutation is one transaction."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.api.filters import Where
from libs.api.wire import resource_name
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, not_found
from libs.ids import Ids
from services.delivery import errors
from services.delivery.channels.resolver import (
    AddressRefusedError,
    NameUnknownError,
    Resolver,
)
from services.delivery.domain import model, signing, urls
from services.delivery.domain.model import Endpoint, EndpointState, Secrets, Verification
from services.delivery.domain.settings import Settings
from services.delivery.domain.urls import UrlPolicy, parse_url
from services.delivery.sending.settled import publish
from services.delivery.store import endpoint_secrets, endpoints, sweeps
from services.delivery.store.endpoint_secrets import Pair
from services.delivery.store.vault import Vault, VaultError

# As many deliveries are called off within the request; a larger rest follows in the background.
CANCELLED_AT_ONCE = 1000


class Endpoints:
    """Endpoints of accounts."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        policy: UrlPolicy,
        resolver: Resolver,
        clock: Clock,
        ids: Ids,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._db = db
        self._vault = vault
        self._policy = policy
        self._resolver = resolver
        self._clock = clock
        self._ids = ids
        self._random = random

    async def check(self, asked: Settings) -> Settings:
        """The settings with their URL in its one spelling. Raises AppError (INVALID) naming the
        field. Outside any transaction: it resolves names.

        A name that does not resolve yet is let in; each attempt checks again.
        """
        url = parse_url(asked.url, self._policy)
        if url.address is None:
            try:
                await self._resolver.resolve(url.host, url.port)
            except AddressRefusedError as error:
                raise urls.refused_address(url.host, str(error)) from error
            except NameUnknownError:
                pass
        return replace(asked, url=url.text)

    async def create(
        self, tx: Tx, account: UUID, asked: Settings, *, challenged: bool = False
    ) -> tuple[Endpoint, Secrets]:
        """One that is to be `challenged` is held until its receiver has answered. Raises AppError
        (PRECONDITION) at the limit of an account."""
        if await endpoints.count(tx, account) >= model.MAX_ENDPOINTS:
            raise AppError(
                Kind.PRECONDITION,
                errors.TOO_MANY_ENDPOINTS,
                f"at most {model.MAX_ENDPOINTS} endpoints; delete one first",
            )
        now = self._clock.now()
        endpoint = Endpoint(
            id=self._ids.uuid(),
            account=account,
            settings=asked,
            state=EndpointState.DISABLED if challenged else EndpointState.ACTIVE,
            state_reason=errors.ENDPOINT_UNVERIFIED if challenged else "",
            state_time=now,
            verification=Verification.PENDING if challenged else Verification.SKIPPED,
            verification_reason="",
            verify_time=None,
            revision=1,
            create_time=now,
            update_time=now,
        )
        await endpoints.insert(tx, self._vault, endpoint)
        secret = await self._new_secret(tx, endpoint.id, None, now)
        return endpoint, Secrets(secret)

    async def get(self, account: UUID, id: UUID) -> Endpoint:
        """Raises AppError (NOT_FOUND)."""
        endpoint = await endpoints.get(self._db, self._vault, account, id)
        if endpoint is None:
            raise missing(id)
        return endpoint

    async def list(
        self, account: UUID, where: Where, before: UUID | None, limit: int
    ) -> list[Endpoint]:
        """Newest first."""
        return await endpoints.list_page(self._db, self._vault, account, where, before, limit)

    async def update(
        self, tx: Tx, account: UUID, id: UUID, etag: str, change: Callable[[Settings], Settings]
    ) -> Endpoint:
        """Gives the endpoint the settings that `change` makes of those it has; the URL of what it
        makes is checked already. Raises AppError."""
        endpoint = await self._lock(tx, account, id, etag)
        asked, now = change(endpoint.settings), self._clock.now()
        if asked == endpoint.settings:
            return endpoint
        await endpoints.update(tx, id, asked, now)
        if asked.headers != endpoint.settings.headers:
            await endpoints.set_headers(tx, self._vault, id, asked.headers)
        if asked.url != endpoint.settings.url and endpoint.verification is Verification.VERIFIED:
            # It was another receiver that answered.
            await endpoints.set_verification(tx, id, Verification.PENDING, "", now)
            if endpoint.state is EndpointState.ACTIVE:
                reason = errors.ENDPOINT_UNVERIFIED
                await endpoints.set_state(tx, id, EndpointState.DISABLED, reason, now)
        return await self._again(tx, account, id)

    async def pause(self, tx: Tx, account: UUID, id: UUID, etag: str) -> Endpoint:
        """Has its messages wait. Raises AppError."""
        endpoint = await self._lock(tx, account, id, etag)
        if endpoint.state is EndpointState.PAUSED:
            return endpoint
        if endpoint.state is EndpointState.DISABLED:
            raise AppError(
                Kind.PRECONDITION,
                errors.ENDPOINT_DISABLED,
                f"the endpoint is held already: it is disabled ({endpoint.state_reason})",
            )
        await endpoints.set_state(tx, id, EndpointState.PAUSED, "", self._clock.now())
        return await self._again(tx, account, id)

    async def resume(self, tx: Tx, account: UUID, id: UUID, etag: str) -> Endpoint:
        """Sends to it again. Raises AppError, also where its receiver has a challenge to answer."""
        endpoint = await self._lock(tx, account, id, etag)
        if endpoint.state is EndpointState.ACTIVE:
            return endpoint
        if endpoint.verification is Verification.PENDING:
            raise AppError(
                Kind.PRECONDITION,
                errors.ENDPOINT_UNVERIFIED,
                "its receiver has not answered the challenge: verify the endpoint",
            )
        await endpoints.set_state(tx, id, EndpointState.ACTIVE, "", self._clock.now())
        return await self._again(tx, account, id)

    async def secrets(self, tx: Tx | Database, account: UUID, id: UUID) -> Secrets:
        """What signs now. Raises AppError (NOT_FOUND, or PRECONDITION where no key opens it)."""
        found = None
        if await endpoints.exists(tx, account, id):
            try:
                found = await endpoint_secrets.get(tx, self._vault, id, self._clock.now())
            except VaultError as error:
                raise AppError(
                    Kind.PRECONDITION,
                    errors.SECRET_UNREADABLE,
                    "the operator has no key that opens this secret; rotate it without overlap",
                ) from error
        if found is None:
            raise missing(id)
        return found

    async def rotate(
        self, tx: Tx, account: UUID, id: UUID, overlap: timedelta, secret: str = ""
    ) -> Secrets:
        """Makes a new key pair, and a new secret unless there is one of the owner's own; those
        before sign along for `overlap`. Raises AppError."""
        model.check_overlap(overlap)
        own = signing.check_secret(secret, "secret") if secret else None
        await self._lock(tx, account, id)
        now = self._clock.now()
        await self._new_secret(tx, id, now + overlap if overlap else None, now, own)
        await endpoints.touch(tx, id, now)
        return await self.secrets(tx, account, id)

    async def delete(self, tx: Tx, account: UUID, id: UUID, etag: str) -> None:
        """Takes the endpoint away and calls off what waits for it. Raises AppError."""
        await self._lock(tx, account, id, etag)
        await endpoints.delete(tx, id)
        publish(tx, await sweeps.cancel_removed(tx, id, CANCELLED_AT_ONCE))

    async def _new_secret(
        self,
        tx: Tx,
        id: UUID,
        overlap_end: datetime | None,
        now: datetime,
        own: bytes | None = None,
    ) -> bytes:
        secret = own or self._random(signing.KEY_BYTES)
        pair = Pair(secret, self._random(endpoint_secrets.KEY_BYTES))
        await endpoint_secrets.add(tx, self._vault, id, pair, overlap_end, now)
        return secret

    async def _lock(self, tx: Tx, account: UUID, id: UUID, etag: str = "") -> Endpoint:
        endpoint = await endpoints.lock(tx, self._vault, account, id)
        if endpoint is None:
            raise missing(id)
        if etag and etag != endpoint.etag:
            raise AppError(
                Kind.ABORTED, errors.ETAG_MISMATCH, "the endpoint was changed meanwhile; get it"
            )
        return endpoint

    async def _again(self, tx: Tx, account: UUID, id: UUID) -> Endpoint:
        endpoint = await endpoints.get(tx, self._vault, account, id)
        assert endpoint is not None, "it is locked"
        return endpoint


def missing(id: UUID) -> AppError:
    """The endpoint is not there, or another's."""
    return not_found(resource_name("endpoints", "ep", id))
