"""What of delivery goes with an account."""

from __future__ import annotations

from uuid import UUID

from libs.api import idempotency
from libs.api.erasure import Left
from libs.api.wire import resource_name
from libs.db import Tx
from services.delivery.store import erasure

BATCH = 500


async def erase(tx: Tx, account: UUID) -> Left:
    """Takes away some of what an account has; answers what is left.

    Where it was to be sent goes first, so that what waits is called off before it is deleted. What
    is on the wire just now arrives; nothing is kept of it.
    """
    await idempotency.forget(tx, resource_name("accounts", "acc", account))
    if await erasure.delete_targets(tx, account, BATCH):
        return Left.MORE
    return await erasure.delete_messages(tx, account, BATCH)
