"""The use cases around endpoints; each mutation is one transaction."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
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
from services.delivery.domain.model import Endpoint, EndpointState, Secrets
from services.delivery.domain.urls import UrlPolicy, WebhookUrl, parse_url
from services.delivery.sending.settled import publish
from services.delivery.store import endpoints, sweeps
from services.delivery.store.vault import Vault

# As many deliveries are called off within the request; a larger rest follows in the background.
CANCELLED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """What an endpoint is asked to be; checked."""

    url: WebhookUrl
    description: str
    event_types: tuple[str, ...]


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

    async def check(self, url: str, description: str, event_types: tuple[str, ...]) -> NewEndpoint:
        """Raises AppError (INVALID) naming the field. Outside any transaction: it resolves names.

        A name that does not resolve yet is let in; each attempt checks again.
        """
        asked = NewEndpoint(
            parse_url(url, self._policy),
            model.check_description(description, "endpoint.description"),
            model.check_event_types(event_types, "endpoint.event_types"),
        )
        if asked.url.address is None:
            try:
                await self._resolver.resolve(asked.url.host, asked.url.port)
            except AddressRefusedError as error:
                raise urls.refused_address(asked.url.host, str(error)) from error
            except NameUnknownError:
                pass
        return asked

    async def create(self, tx: Tx, account: UUID, asked: NewEndpoint) -> tuple[Endpoint, Secrets]:
        """Raises AppError (PRECONDITION) at the limit of an account."""
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
            url=asked.url.text,
            description=asked.description,
            event_types=asked.event_types,
            state=EndpointState.ACTIVE,
            state_reason="",
            revision=1,
            create_time=now,
            update_time=now,
        )
        key = self._random(signing.KEY_BYTES)
        await endpoints.insert(tx, endpoint)
        await endpoints.add_secret(tx, self._vault, endpoint.id, key, None)
        return endpoint, Secrets(key)

    async def get(self, account: UUID, id: UUID) -> Endpoint:
        """Raises AppError (NOT_FOUND)."""
        endpoint = await endpoints.get(self._db, account, id)
        if endpoint is None:
            raise _missing(id)
        return endpoint

    async def list(
        self, account: UUID, where: Where, before: UUID | None, limit: int
    ) -> list[Endpoint]:
        """Newest first."""
        return await endpoints.list_page(self._db, account, where, before, limit)

    async def secrets(self, tx: Tx | Database, account: UUID, id: UUID) -> Secrets:
        """What signs now. Raises AppError (NOT_FOUND)."""
        found = None
        if await endpoints.get(tx, account, id) is not None:
            found = await endpoints.get_secrets(tx, self._vault, id, self._clock.now())
        if found is None:
            raise _missing(id)
        return found

    async def rotate(self, tx: Tx, account: UUID, id: UUID, overlap: timedelta) -> Secrets:
        """Makes a new key; the one before signs along for `overlap`. Raises AppError."""
        model.check_overlap(overlap)
        if await endpoints.lock(tx, account, id) is None:
            raise _missing(id)
        now = self._clock.now()
        ends = now + overlap if overlap else None
        key = self._random(signing.KEY_BYTES)
        await endpoints.add_secret(tx, self._vault, id, key, ends)
        await endpoints.touch(tx, id, now)
        return await self.secrets(tx, account, id)

    async def delete(self, tx: Tx, account: UUID, id: UUID, etag: str) -> None:
        """Takes the endpoint away and calls off what waits for it. Raises AppError."""
        endpoint = await endpoints.lock(tx, account, id)
        if endpoint is None:
            raise _missing(id)
        if etag and etag != endpoint.etag:
            raise AppError(
                Kind.ABORTED, errors.ETAG_MISMATCH, "the endpoint was changed meanwhile; get it"
            )
        await endpoints.delete(tx, id)
        publish(tx, await sweeps.cancel_removed(tx, id, CANCELLED_AT_ONCE))


def _missing(id: UUID) -> AppError:
    return not_found(resource_name("endpoints", "ep", id))
