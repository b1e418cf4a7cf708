"""What endpoints sign with, as far as it may be shown."""

from __future__ import annotations

from uuid import UUID

from libs.clock import Clock
from libs.db import Database
from services.delivery.domain.model import Endpoint
from services.delivery.handlers.endpoints import missing
from services.delivery.store import endpoint_secrets, endpoints
from services.delivery.store.endpoint_secrets import Version
from services.delivery.store.vault import Vault


class EndpointKeys:
    """Reads; nothing here shows a secret."""

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._db = db
        self._vault = vault
        self._clock = clock

    async def signing(self, account: UUID, id: UUID) -> tuple[Endpoint, list[Version]]:
        """The account's endpoint and what signs now, newest first. Raises AppError (NOT_FOUND)."""
        endpoint = await endpoints.get(self._db, self._vault, account, id)
        if endpoint is None:
            raise missing(id)
        return endpoint, await self._versions(id)

    async def public_keys(self, id: UUID) -> list[Version]:
        """The key pairs that sign, of whomever's endpoint, newest first. Raises AppError."""
        found = await self._versions(id)
        if not found:
            raise missing(id)
        return [version for version in found if version.public_key is not None]

    async def _versions(self, id: UUID) -> list[Version]:
        return await endpoint_secrets.versions(self._db, self._vault, id, self._clock.now())
