"""Messages whose targets are known before they are made."""

from __future__ import annotations

from libs.db import Tx
from services.delivery.domain.model import Message, Target
from services.delivery.sending.worker import Worker
from services.delivery.store import leases, messages


async def send_to(tx: Tx, worker: Worker, made: list[tuple[Message, Target]]) -> None:
    """Makes messages and their deliveries, and sends what there is room for after the commit."""
    new = await messages.insert(tx, [message for message, _ in made])
    planned, lease = worker.plan(pair for pair in made if pair[0].id in new)
    leased = await leases.insert(tx, planned, lease)
    more = len(leased) < len(planned)
    tx.after_commit(lambda: worker.accept(leased, more_waits=more))
