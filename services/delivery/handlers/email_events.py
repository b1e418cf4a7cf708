"""What providers tell becomes the state of deliveries, suppressions, and events for others."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from libs.api.filters import Where
from libs.api.wire import resource_name, stamp
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind
from libs.ids import Ids, derive
from libs.obs.metrics import EMAIL_STAGES
from pq.delivery.v1 import emails_events_pb2, providers_pb2
from services.delivery import errors
from services.delivery.channels.email.mail import read_reference
from services.delivery.channels.email.webhooks.request import Reader, Webhook
from services.delivery.domain.bounces import Bounce, Reason, parse
from services.delivery.domain.email_addresses import (
    MAX_DETAIL,
    Suppression,
    SuppressionReason,
    key_of,
)
from services.delivery.domain.email_codes import CODES, of_bounce
from services.delivery.domain.email_events import TOLD, EmailEvent, EventKind, Stored
from services.delivery.domain.model import DeliveryState
from services.delivery.sending.settled import delivery_id, delivery_name
from services.delivery.store import email_batches, email_events, email_suppressions
from services.delivery.store.email_events import Sent

RAW = "bounce"
KEPT = timedelta(days=90)
_BATCHES_KEPT = timedelta(days=2)
_PRUNED_AT_ONCE = 1000
# Codes that leave it to the provider whether the mailbox is good.
_VAGUE = frozenset({"", "email_permanent_failure", "email_unexpected_reply"})
_SUPPRESSED = "email_recipient_suppressed"
_REASONS = {
    EventKind.BOUNCED: SuppressionReason.HARD_BOUNCE,
    EventKind.COMPLAINED: SuppressionReason.COMPLAINT,
}
_STATES = {
    EventKind.DELIVERED: DeliveryState.DELIVERED,
    EventKind.SOFT_BOUNCED: DeliveryState.FAILED,
    EventKind.BOUNCED: DeliveryState.FAILED,
    # It arrived, or nobody could have called it spam.
    EventKind.COMPLAINED: DeliveryState.DELIVERED,
}


class EmailEvents:
    """`readers` are by provider: those whose webhooks are configured."""

    def __init__(self, db: Database, readers: Mapping[str, Reader], clock: Clock, ids: Ids) -> None:
        self._db = db
        self._readers = readers
        self._clock = clock
        self._ids = ids

    async def receive(self, provider: str, webhook: Webhook) -> None:
        """Takes a provider's webhook. Raises AppError: NOT_FOUND for a provider that is not
        configured, UNAUTHENTICATED for a stranger's, INVALID for what cannot be read."""
        reader = self._readers.get(provider)
        if reader is None:
            raise AppError(
                Kind.NOT_FOUND,
                errors.PROVIDER_NOT_CONFIGURED,
                f"the webhooks of {provider[:40]!r} are not configured here",
            )
        await self._record(await reader.read(webhook, self._clock.now()))

    async def receive_bounce(self, raw: bytes) -> list[Stored]:
        """Takes a bounce message. It may be anybody's writing: only what names a delivery of ours
        has an effect."""
        digest = hashlib.sha256(raw).hexdigest()
        now = self._clock.now()
        events = []
        for at, bounce in enumerate(parse(raw)):
            kind = _kind_of(bounce)
            event = EmailEvent(
                RAW,
                f"{digest}:{at}",
                kind,
                bounce.reason.value,
                now,
                recipient=bounce.recipient,
                reference=read_reference(bounce.message_id) or read_reference(bounce.feedback_id),
                code=of_bounce(bounce).name,
                detail=bounce.diagnostic,
                payload=raw[:_KEPT_RAW],
            )
            events.append(event)
        return await self._record(events)

    async def list(self, where: Where, before: UUID | None, limit: int) -> builtins.list[Stored]:
        """Newest first."""
        return await email_events.list_page(self._db, where, before, limit)

    async def prune(self) -> None:
        """Forgets what was told long ago."""
        await email_batches.prune(self._db, _BATCHES_KEPT)
        before = self._clock.now() - KEPT
        while True:
            async with self._db.transaction() as tx:
                if await email_events.prune(tx, before, _PRUNED_AT_ONCE) < _PRUNED_AT_ONCE:
                    return

    async def _record(self, events: Sequence[EmailEvent]) -> builtins.list[Stored]:
        """Keeps what is new, and lets follow what follows, in one transaction."""
        now = self._clock.now()
        stored = [Stored(self._ids.uuid(), _judged(event), now) for event in events]
        reached: builtins.list[tuple[str, EventKind]] = []
        async with self._db.transaction() as tx:
            # In one order, so that two of the same do not wait for each other.
            for each in sorted(stored, key=lambda s: s.event.event_id):
                if await email_events.insert(tx, each):
                    await self._apply(tx, each, reached)
        _count(reached)
        return stored

    async def _apply(
        self, tx: Tx, stored: Stored, reached: builtins.list[tuple[str, EventKind]]
    ) -> None:
        event = stored.event
        if event.kind is EventKind.UNKNOWN:
            return
        sent = await email_events.find(tx, event)
        key = key_of(event.recipient)
        if event.provider == RAW and (sent is None or key not in ("", sent.email_key)):
            return
        reason = _REASONS.get(event.kind)
        if reason is not None and (key or (sent and sent.email_key)):
            await self._suppress(tx, key or (sent.email_key if sent else ""), reason, event)
        if sent is None or event.kind <= sent.stage:
            return
        await email_events.advance(tx, sent, event.kind)
        reached.append((event.provider, event.kind))
        state = _STATES.get(event.kind)
        if state is not None:
            word = event.kind.name.lower()
            await email_events.settle(tx, sent, state, event.code or word)
        if event.kind in TOLD:
            self._publish(tx, sent, event)

    async def _suppress(
        self, tx: Tx, key: str, reason: SuppressionReason, event: EmailEvent
    ) -> None:
        made = Suppression(
            self._ids.uuid(),
            key,
            reason,
            event.detail[:MAX_DETAIL],
            event.provider,
            self._clock.now(),
        )
        await email_suppressions.insert(tx, [made])

    def _publish(self, tx: Tx, sent: Sent, event: EmailEvent) -> None:
        message = resource_name("messages", "msg", sent.message)
        id = delivery_id(sent.message, sent.address)
        tx.publish(
            emails_events_pb2.EmailStageReached(
                message=message,
                delivery=delivery_name(message, id),
                account=resource_name("accounts", "acc", sent.account),
                email_address=resource_name("emailAddresses", "eml", sent.address),
                kind=providers_pb2.EmailEventKind.ValueType(event.kind),
                code=event.code,
                provider=event.provider,
                occur_time=stamp(event.occur_time),
            ),
            id=derive(id, "email", event.kind.name),
        )


_KEPT_RAW = 65_536


def _kind_of(bounce: Bounce) -> EventKind:
    if bounce.reason is Reason.FEEDBACK:
        return EventKind.COMPLAINED
    if bounce.reason is Reason.VACATION:
        return EventKind.UNKNOWN
    if bounce.reason is Reason.DELIVERED:
        return EventKind.DELIVERED
    if bounce.hard:
        return EventKind.BOUNCED
    return EventKind.DELAYED if bounce.action == "delayed" else EventKind.SOFT_BOUNCED


def _judged(event: EmailEvent) -> EmailEvent:
    """A bounce that says nothing against the mailbox is a soft one, whatever its provider calls
    it: a mailbox is given up for what is wrong with the mailbox alone."""
    if event.kind is not EventKind.BOUNCED or event.code in _VAGUE or event.code == _SUPPRESSED:
        return event
    code = CODES.get(event.code)
    if code is None or code.hard:
        return event
    return replace(event, kind=EventKind.SOFT_BOUNCED)


def _count(reached: Iterable[tuple[str, EventKind]]) -> None:
    for provider, kind in reached:
        EMAIL_STAGES.labels(provider, kind.name.lower()).inc()
