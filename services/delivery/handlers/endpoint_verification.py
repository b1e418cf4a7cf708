"""Asks a receiver whether it wants our messages.

The challenge is a webhook like any other, of the type "endpoint.verification". The receiver
answers 2xx with the challenge as the body, or as JSON {"challenge": …}. A server that repeats what
it is sent does not pass: there the challenge is within "data".
"""

from __future__ import annotations

import base64
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from libs.api.wire import resource_name
from libs.clock import Clock
from libs.db import Database, Tx
from libs.ids import Ids
from services.delivery import errors
from services.delivery.domain import verification
from services.delivery.domain.model import (
    Endpoint,
    EndpointState,
    Leased,
    Message,
    Verification,
)
from services.delivery.domain.outcome import Exchange
from services.delivery.handlers import payload
from services.delivery.handlers.endpoints import missing
from services.delivery.store import endpoint_targets, endpoints
from services.delivery.store.vault import Vault

_CHALLENGE_BYTES = 24


@dataclass(frozen=True, slots=True)
class Asked:
    """A challenge's end: which URL it was sent to, and what was wrong; "" for nothing."""

    url: str
    fault: str


class EndpointVerification:
    """Sends challenges; `send` makes one attempt. Nothing is open in the database meanwhile."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        send: Callable[[Leased], Awaitable[Exchange]],
        clock: Clock,
        ids: Ids,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._db = db
        self._vault = vault
        self._send = send
        self._clock = clock
        self._ids = ids
        self._random = random

    async def verify(self, account: UUID, id: UUID) -> Endpoint:
        """Asks now; answers the endpoint as it is then. Raises AppError (NOT_FOUND)."""
        asked = await self.ask(account, id)
        async with self._db.transaction() as tx:
            return await self.record(tx, account, id, asked)

    async def ask(self, account: UUID, id: UUID) -> Asked:
        """Sends a challenge, and reads what comes. Raises AppError (NOT_FOUND)."""
        endpoint = await endpoints.get(self._db, self._vault, account, id)
        target = (await endpoint_targets.get(self._db, self._vault, [id])).get(id)
        if endpoint is None or target is None:
            raise missing(id)
        challenge = base64.urlsafe_b64encode(self._random(_CHALLENGE_BYTES)).decode()
        message = self._message(account, id, challenge)
        exchange = await self._send(Leased(message, target, lease=message.id, attempt=1))
        fault = verification.fault(exchange, challenge)
        return Asked(endpoint.settings.url, fault)

    async def record(self, tx: Tx, account: UUID, id: UUID, asked: Asked) -> Endpoint:
        """Keeps what came of it. Raises AppError (NOT_FOUND)."""
        endpoint = await endpoints.lock(tx, self._vault, account, id)
        if endpoint is None:
            raise missing(id)
        if endpoint.settings.url != asked.url:  # changed meanwhile: it was another that was asked
            return endpoint
        now = self._clock.now()
        passed = Verification.VERIFIED if not asked.fault else endpoint.verification
        await endpoints.set_verification(tx, id, passed, asked.fault, now)
        if not asked.fault and endpoint.state_reason == errors.ENDPOINT_UNVERIFIED:
            await endpoints.set_state(tx, id, EndpointState.ACTIVE, "", now)
        recorded = await endpoints.get(tx, self._vault, account, id)
        assert recorded is not None, "it was locked"
        return recorded

    def _message(self, account: UUID, id: UUID, challenge: str) -> Message:
        now = self._clock.now()
        data = {"endpoint": resource_name("endpoints", "ep", id), "challenge": challenge}
        body = payload.render(verification.EVENT_TYPE, payload.shown(now), data)
        return Message(self._ids.uuid(), account, verification.EVENT_TYPE, body, now, None)
