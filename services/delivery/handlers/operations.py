"""Deliveries again, or off: one at once, many in the background.

A step of an operation is one transaction: what it changes and how far it got are committed
together, so that it goes on where it was after a kill, and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.api.wire import resource_name
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, invalid, not_found
from libs.ids import Ids
from libs.obs.metrics import DELIVERY_OUTCOMES
from services.delivery import errors
from services.delivery.domain.model import Delivery, DeliveryState, Target
from services.delivery.domain.operations import Operation, OperationKind, OperationState
from services.delivery.handlers import payload
from services.delivery.sending.intake import Intake
from services.delivery.sending.settled import delivery_id, publish
from services.delivery.sending.worker import Worker
from services.delivery.store import again, endpoint_targets, endpoints, messages, operations
from services.delivery.store.vault import Vault

STEP = 500
_SETTLED = (
    DeliveryState.DELIVERED,
    DeliveryState.FAILED,
    DeliveryState.EXPIRED,
    DeliveryState.CANCELLED,
    DeliveryState.SENT,
)


class Operations:
    """What accounts do about their deliveries. At most `rate` of them a second are changed by one
    operation."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        worker: Worker,
        clock: Clock,
        ids: Ids,
        rate: float = 1000.0,
    ) -> None:
        self._db = db
        self._vault = vault
        self._worker = worker
        self._intake = Intake(vault, worker)
        self._clock = clock
        self._ids = ids
        self._rate = rate

    async def redeliver(self, account: UUID, message: UUID, delivery: UUID) -> Delivery:
        """Sends one again, or at once if it waits. Raises AppError (NOT_FOUND)."""
        found = await self._find(account, message, delivery)
        async with self._db.transaction() as tx:
            if not await again.redeliver(tx, found.endpoint, [message], _SETTLED):
                await again.hurry(tx, found.endpoint, message)
            tx.after_commit(self._worker.wake)
        return await self._find(account, message, delivery)

    async def cancel(self, account: UUID, message: UUID, delivery: UUID) -> Delivery:
        """Calls one off. Raises AppError: NOT_FOUND; PRECONDITION where it does not wait."""
        found = await self._find(account, message, delivery)
        async with self._db.transaction() as tx:
            settled = await again.cancel(tx, found.endpoint, [message])
            publish(tx, settled)
            tx.after_commit(self._worker.wake)
        if not settled:
            raise AppError(
                Kind.PRECONDITION,
                errors.DELIVERY_NOT_WAITING,
                "the delivery does not wait: it is settled, or is being sent just now",
            )
        DELIVERY_OUTCOMES.labels("webhook", "cancelled").inc()
        return await self._find(account, message, delivery)

    async def begin(
        self,
        tx: Tx,
        account: UUID,
        kind: OperationKind,
        endpoint: UUID,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Operation:
        """Has an operation done. Raises AppError: NOT_FOUND, or INVALID for a time that ends
        before it begins."""
        if not await endpoints.exists(tx, account, endpoint):
            raise not_found(resource_name("endpoints", "ep", endpoint))
        now = self._clock.now()
        ends = min(end, now) if end else now
        if start is not None and start >= ends:
            raise invalid("start_time", "expected a time before the end and before now")
        operation = Operation(
            id=self._ids.uuid(),
            account=account,
            kind=kind,
            endpoint=endpoint,
            state=OperationState.RUNNING,
            start_time=start,
            end_time=ends,
            create_time=now,
        )
        await operations.insert(tx, operation)
        return operation

    async def run(self) -> None:
        """Does all steps that are due."""
        while await self.step():
            pass

    async def step(self) -> bool:
        """Does one step of one operation; answers whether there was one to do."""
        async with self._db.transaction() as tx:
            operation = await operations.take(tx)
            if operation is None:
                return False
            after = await self._advance(tx, operation)
            wait = (after.changed - operation.changed) / self._rate
            await operations.save(tx, after, wait)
            tx.after_commit(self._worker.wake)
        return True

    async def _advance(self, tx: Tx, operation: Operation) -> Operation:
        if not await endpoints.exists(tx, operation.account, operation.endpoint):
            return replace(operation, state=OperationState.CANCELLED)
        if operation.kind is OperationKind.CANCEL:
            return await self._cancel(tx, operation)
        rows = await operations.next_messages(tx, operation, STEP)
        if not rows:
            return replace(operation, state=OperationState.SUCCEEDED)
        ids = [row["id"] for row in rows]
        if operation.kind is OperationKind.RECOVER:
            changed = await again.redeliver(tx, operation.endpoint, ids, [DeliveryState.FAILED])
        else:
            changed = await self._replay(tx, operation, ids)
        return replace(
            operation,
            cursor_time=rows[-1]["create_time"],
            cursor_id=rows[-1]["id"],
            looked_at=operation.looked_at + len(rows),
            changed=operation.changed + changed,
        )

    async def _cancel(self, tx: Tx, operation: Operation) -> Operation:
        settled = await again.cancel_waiting(tx, operation.endpoint, operation.end_time, STEP)
        publish(tx, settled)
        count = len(settled)
        tx.after_commit(lambda: DELIVERY_OUTCOMES.labels("webhook", "cancelled").inc(count))
        return replace(
            operation,
            looked_at=operation.looked_at + count,
            changed=operation.changed + count,
            state=operation.state if count == STEP else OperationState.SUCCEEDED,
        )

    async def _replay(self, tx: Tx, operation: Operation, ids: Sequence[UUID]) -> int:
        """Sends those again that were sent, and for the first time those that were not."""
        changed = await again.redeliver(tx, operation.endpoint, ids, _SETTLED)
        known = await messages.delivered_to(tx, operation.endpoint, ids)
        target = (await endpoint_targets.get(tx, self._vault, [operation.endpoint]))[
            operation.endpoint
        ]
        missing = await messages.by_id(tx, [id for id in ids if id not in known])
        wanted: list[tuple[Any, Target]] = []
        for id in ids:
            message = missing.get(id)
            if message is not None and target.wants(payload.with_subjects(message)):
                wanted.append((replace(message, deliver_by=None), target))
        await self._intake.send(tx, wanted)
        return changed + len(wanted)

    async def _find(self, account: UUID, message: UUID, delivery: UUID) -> Delivery:
        name = resource_name("messages", "msg", message)
        if await messages.get(self._db, account, message) is None:
            raise not_found(name)
        for found in (await messages.deliveries(self._db, [message]))[message]:
            if delivery_id(message, found.endpoint) == delivery:
                return found
        raise not_found(f"{name}/deliveries")
