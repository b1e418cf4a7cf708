"""New messages on their way: stored, given to whoever subscribed, sent from here where there is
room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from libs.db import Database, Reader, Tx
from services.delivery.domain.model import Leased, Message, Target
from services.delivery.sending.settled import publish
from services.delivery.sending.worker import Worker
from services.delivery.store import (
    again,
    arrivals,
    digests,
    endpoint_targets,
    leases,
    messages,
)
from services.delivery.store.leases import Lease, NewDelivery
from services.delivery.store.vault import Vault

_Pair = tuple[Message, Target]


class Intake:
    """One or two inserts for a batch, however many its accounts and endpoints."""

    def __init__(self, vault: Vault, worker: Worker) -> None:
        self._vault = vault
        self._worker = worker

    async def make(self, db: Database, made: Sequence[Message]) -> set[UUID]:
        """As `take_in`, in a transaction of its own: where all of it is sent from here, that is a
        single statement."""
        planned, lease = self._worker.plan(await self._pairs(db, made))
        done = await _at_once(db, made, planned, lease)
        if done is not None:
            new, leased = done
            self._worker.accept(leased, more_waits=False)
            return new
        async with db.transaction() as tx:
            return await self._one_by_one(tx, made, planned, lease)

    async def take_in(self, tx: Tx, made: Sequence[Message]) -> set[UUID]:
        """Stores messages and makes their deliveries; answers the ids that are new. What is leased
        to this process is sent as soon as it is committed."""
        planned, lease = self._worker.plan(await self._pairs(tx, made))
        done = await _at_once(tx, made, planned, lease)
        if done is None:
            return await self._one_by_one(tx, made, planned, lease)
        new, leased = done
        tx.after_commit(lambda: self._worker.accept(leased, more_waits=False))
        return new

    async def send(self, tx: Tx, made: Iterable[_Pair]) -> None:
        """Makes these deliveries."""
        await self._send(tx, *self._worker.plan(made))

    async def _pairs(self, reader: Reader, made: Sequence[Message]) -> list[_Pair]:
        """Each message with each of those who subscribed to it."""
        accounts = list({message.account for message in made})
        by_account: dict[UUID, list[Target]] = {id: [] for id in accounts}
        for target in await endpoint_targets.of_accounts(reader, self._vault, accounts):
            by_account[target.account].append(target)
        return [
            (message, target)
            for message in made
            for target in by_account[message.account]
            if target.wants(message)
        ]

    async def _one_by_one(
        self, tx: Tx, made: Sequence[Message], planned: Sequence[NewDelivery], lease: Lease | None
    ) -> set[UUID]:
        new = await messages.insert(tx, made)
        fresh = [one for one in planned if one.message.id in new]
        if later := [one for one in fresh if one.waits_for_digest]:
            await digests.add(tx, [(one.target.endpoint, one.message.id) for one in later])
            fresh = [one for one in fresh if not one.waits_for_digest]
        await self._send(tx, fresh, lease)
        return new

    async def _send(self, tx: Tx, planned: Sequence[NewDelivery], lease: Lease | None) -> None:
        if not planned:
            return
        leased = await leases.insert(tx, planned, lease)
        more = len(leased) < len(planned)
        if newest := _newest(planned):
            publish(tx, await again.coalesce(tx, newest))
        tx.after_commit(lambda: self._worker.accept(leased, more_waits=more))


async def _at_once(
    writer: Tx | Database,
    made: Sequence[Message],
    planned: Sequence[NewDelivery],
    lease: Lease | None,
) -> tuple[set[UUID], list[Leased]] | None:
    """Which messages are new and what of them is leased; None where it is not so simple."""
    if lease is None or not arrivals.fits(made, planned):
        return None
    return await arrivals.insert(writer, made, planned, lease)


def _newest(planned: Sequence[NewDelivery]) -> dict[tuple[UUID, str], UUID]:
    """By endpoint and coalesce key the message that replaces what waits."""
    return {
        (one.target.endpoint, one.message.coalesce_key): one.message.id
        for one in planned
        if one.message.coalesce_key
    }
