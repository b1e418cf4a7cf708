"""New messages on their way: stored, given to whoever subscribed, sent from here where there is
room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from libs.db import Tx
from services.delivery.domain.model import ALERT_TRIGGERED, Message, Target
from services.delivery.sending.settled import publish
from services.delivery.sending.worker import Worker
from services.delivery.store import again, digests, endpoint_targets, leases, messages
from services.delivery.store.vault import Vault


class Intake:
    """Two inserts for a batch, however many its accounts and endpoints."""

    def __init__(self, vault: Vault, worker: Worker) -> None:
        self._vault = vault
        self._worker = worker

    async def take_in(self, tx: Tx, made: Sequence[Message]) -> set[UUID]:
        """Stores messages and makes their deliveries; answers the ids that are new. What is leased
        to this process is sent as soon as it is committed."""
        accounts = list({message.account for message in made})
        by_account: dict[UUID, list[Target]] = {id: [] for id in accounts}
        for target in await endpoint_targets.of_accounts(tx, self._vault, accounts):
            by_account[target.account].append(target)
        new = await messages.insert(tx, made)
        pairs = (
            (message, target)
            for message in made
            if message.id in new
            for target in by_account[message.account]
            if target.wants(message)
        )
        if any(target.digest for found in by_account.values() for target in found):
            pairs = (pair for pair in await self._put_by(tx, list(pairs)))
        await self.send(tx, pairs)
        return new

    async def _put_by(
        self, tx: Tx, made: Sequence[tuple[Message, Target]]
    ) -> list[tuple[Message, Target]]:
        """Keeps alerts for the next digests of those who want them so; answers the others."""
        later = [(m, t) for m, t in made if t.digest and m.event_type == ALERT_TRIGGERED]
        await digests.add(tx, [(target.endpoint, message.id) for message, target in later])
        return [(m, t) for m, t in made if not (t.digest and m.event_type == ALERT_TRIGGERED)]

    async def send(self, tx: Tx, made: Iterable[tuple[Message, Target]]) -> None:
        """Makes these deliveries."""
        planned, lease = self._worker.plan(made)
        if not planned:
            return
        leased = await leases.insert(tx, planned, lease)
        more = len(leased) < len(planned)
        if newest := _newest(planned):
            publish(tx, await again.coalesce(tx, newest))
        tx.after_commit(lambda: self._worker.accept(leased, more_waits=more))


def _newest(planned: Sequence[leases.NewDelivery]) -> dict[tuple[UUID, str], UUID]:
    """By endpoint and coalesce key the message that replaces what waits."""
    return {
        (one.target.endpoint, one.message.coalesce_key): one.message.id
        for one in planned
        if one.message.coalesce_key
    }
