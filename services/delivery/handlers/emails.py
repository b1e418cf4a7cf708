"""The use cases around e-mail addresses; each mutation is one transaction."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from libs.api.filters import Where
from libs.api.wire import resource_name
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, Violation, invalid_all, not_found
from libs.ids import Ids
from services.delivery import errors
from services.delivery.channels.email.render import CONFIRMATION
from services.delivery.domain import email_addresses as rules
from services.delivery.domain import model
from services.delivery.domain.email_addresses import Digest, EmailAddress, EmailState, Mailbox
from services.delivery.domain.email_links import LinkKind, Links
from services.delivery.domain.model import Channel, Message
from services.delivery.handlers import payload
from services.delivery.handlers.addressed import send_to
from services.delivery.sending.settled import publish
from services.delivery.sending.worker import Worker
from services.delivery.store import digests, emails, sweeps

# As many deliveries are called off within the request; a larger rest follows in the background.
CANCELLED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class NewAddress:
    """What an address is asked to be; checked."""

    mailbox: Mailbox
    description: str
    event_types: tuple[str, ...]
    digest: Digest | None = None


Change = Callable[[EmailAddress], EmailAddress]


def check(
    email: str, description: str, event_types: tuple[str, ...], digest: Digest | None = None
) -> NewAddress:
    """Raises AppError (INVALID) naming the field."""
    return NewAddress(
        rules.check_email(email, "email_address.email"),
        model.check_description(description, "email_address.description"),
        check_types(event_types),
        digest,
    )


def check_types(event_types: tuple[str, ...]) -> tuple[str, ...]:
    """The types in order, each once. Raises AppError (INVALID) naming each unknown one."""
    known = ", ".join(sorted(rules.EVENT_TYPES))
    wrong = [
        Violation(f"email_address.event_types[{at}]", f"expected one of {known}", "unknown_type")
        for at, kind in enumerate(event_types)
        if kind not in rules.EVENT_TYPES
    ]
    if wrong:
        raise invalid_all(wrong)
    return tuple(dict.fromkeys(event_types))


class EmailAddresses:
    """E-mail addresses of accounts. `configured` says whether anything sends e-mail here."""

    def __init__(
        self,
        db: Database,
        worker: Worker,
        links: Links,
        clock: Clock,
        ids: Ids,
        *,
        configured: bool,
    ) -> None:
        self._db = db
        self._worker = worker
        self._links = links
        self._clock = clock
        self._ids = ids
        self._configured = configured

    async def create(self, tx: Tx, account: UUID, asked: NewAddress) -> EmailAddress:
        """Adds an address, and sends it the confirmation if it may get one.

        Raises AppError: PRECONDITION at the limit of an account, ALREADY_EXISTS.
        """
        if await emails.count(tx, account) >= rules.MAX_ADDRESSES:
            raise AppError(
                Kind.PRECONDITION,
                errors.TOO_MANY_EMAIL_ADDRESSES,
                f"at most {rules.MAX_ADDRESSES} addresses; delete one first",
            )
        now, box = self._clock.now(), asked.mailbox
        address = EmailAddress(
            id=self._ids.uuid(),
            account=account,
            email=box.email,
            email_key=box.key,
            description=asked.description,
            event_types=asked.event_types,
            state=EmailState.UNCONFIRMED,
            state_reason="",
            role_account=box.role_account,
            disposable=box.disposable,
            revision=1,
            create_time=now,
            update_time=now,
            digest=asked.digest,
            digest_time=asked.digest.next(now) if asked.digest else None,
        )
        if not await emails.insert(tx, address, configured=self._configured):
            raise AppError(
                Kind.ALREADY_EXISTS,
                errors.EMAIL_ADDRESS_EXISTS,
                f"email_address.email: {box.email} is there already",
            )
        return await self._confirm_if_may(tx, address, now)

    async def get(self, account: UUID, id: UUID) -> EmailAddress:
        """Raises AppError (NOT_FOUND)."""
        found = await emails.get(self._db, account, id)
        if found is None:
            raise _missing(id)
        return found

    async def list(
        self, account: UUID, where: Where, before: UUID | None, limit: int
    ) -> builtins.list[EmailAddress]:
        """Newest first."""
        return await emails.list_page(self._db, account, where, before, limit)

    async def update(
        self, tx: Tx, account: UUID, id: UUID, etag: str, change: Change
    ) -> EmailAddress:
        """Changes what its owner may change. Without a digest, what waits for one goes at once.

        Raises AppError (NOT_FOUND, ABORTED).
        """
        before = await self._lock(tx, account, id)
        _check_etag(before, etag)
        now, after = self._clock.now(), change(before)
        next_time = before.digest_time
        if after.digest != before.digest:
            waits = await digests.waits(tx, id)
            next_time = after.digest.next(now) if after.digest else (now if waits else None)
        after = replace(after, revision=before.revision + 1, update_time=now, digest_time=next_time)
        await emails.update(tx, after)
        return await emails.find(tx, id) or after

    async def delete(self, tx: Tx, account: UUID, id: UUID, etag: str) -> None:
        """Takes the address away and calls off what waits for it. Raises AppError."""
        _check_etag(await self._lock(tx, account, id), etag)
        await emails.delete(tx, id)
        ended = await sweeps.cancel_removed(tx, id, CANCELLED_AT_ONCE)
        publish(tx, [replace(end, channel=Channel.EMAIL) for end in ended])

    async def resend(self, tx: Tx, account: UUID, id: UUID) -> EmailAddress:
        """Sends the confirmation again.

        Raises AppError: NOT_FOUND; PRECONDITION where the address is not unconfirmed; RATE_LIMITED.
        """
        address = await self._lock(tx, account, id)
        if address.state is not EmailState.UNCONFIRMED:
            raise AppError(
                Kind.PRECONDITION,
                errors.EMAIL_ADDRESS_NOT_UNCONFIRMED,
                f"the address is {address.state.name.lower()}: there is nothing to confirm",
            )
        now = self._clock.now()
        last = address.confirmation_send_time
        if last is not None and now < last + rules.CONFIRMATION_PAUSE:
            left = (last + rules.CONFIRMATION_PAUSE - now).total_seconds()
            raise _too_often("the last confirmation is not ten minutes old", left)
        since = now - rules.CONFIRMATION_WINDOW
        sent = await emails.confirmations_since(tx, address.email_key, since)
        if sent >= rules.CONFIRMATIONS_A_WINDOW:
            raise _too_often("this mailbox was sent three confirmations within a day", 3600.0)
        return await self._send_confirmation(tx, address, now)

    # Behind the links.

    async def linked(self, token: str, kind: LinkKind) -> EmailAddress:
        """The address that a link speaks of. Raises AppError (NOT_FOUND, PRECONDITION)."""
        found = await emails.find(self._db, self._links.open(token, kind, self._clock.now()))
        if found is None:
            raise AppError(Kind.NOT_FOUND, "link_invalid", "the address is not there any more")
        return found

    async def confirm(self, token: str) -> EmailAddress:
        """Confirms; what is confirmed, unsubscribed or suppressed stays. Raises AppError."""
        return await self._move(token, LinkKind.CONFIRM, EmailState.CONFIRMED, "")

    async def unsubscribe(self, token: str, reason: str) -> EmailAddress:
        """Sends no more, and gives up what waits. Raises AppError."""
        return await self._move(token, LinkKind.UNSUBSCRIBE, EmailState.UNSUBSCRIBED, reason)

    async def _move(
        self, token: str, kind: LinkKind, state: EmailState, reason: str
    ) -> EmailAddress:
        id = self._links.open(token, kind, self._clock.now())
        async with self._db.transaction() as tx:
            address = await emails.lock(tx, id)
            if address is None:
                raise AppError(Kind.NOT_FOUND, "link_invalid", "the address is not there any more")
            confirms = state is EmailState.CONFIRMED
            if address.state is state or (confirms and address.state is not EmailState.UNCONFIRMED):
                return address
            await emails.set_state(tx, id, state, reason, self._clock.now())
            if not confirms:
                await emails.hurry(tx, [id])
                tx.after_commit(self._worker.wake)
            moved = await emails.find(tx, id)
        return moved or address

    async def _lock(self, tx: Tx, account: UUID, id: UUID) -> EmailAddress:
        address = await emails.lock(tx, id)
        if address is None or address.account != account:
            raise _missing(id)
        return address

    # The confirmation.

    async def _confirm_if_may(self, tx: Tx, address: EmailAddress, now: datetime) -> EmailAddress:
        """A suppressed mailbox gets none; nor does one that had enough of them today."""
        shown = await emails.find(tx, address.id) or address
        if shown.state is not EmailState.UNCONFIRMED:
            return shown
        since = now - rules.CONFIRMATION_WINDOW
        sent = await emails.confirmations_since(tx, address.email_key, since)
        if sent >= rules.CONFIRMATIONS_A_WINDOW:
            await emails.set_state(tx, address.id, EmailState.UNCONFIRMED, rules.UNSENT, now)
            return await emails.find(tx, address.id) or address
        return await self._send_confirmation(tx, address, now)

    async def _send_confirmation(
        self, tx: Tx, address: EmailAddress, now: datetime
    ) -> EmailAddress:
        """The message says nothing of the link: whoever may read it could confirm for others."""
        message = Message(
            id=self._ids.uuid(),
            account=address.account,
            event_type=CONFIRMATION,
            payload=payload.render(
                CONFIRMATION,
                payload.shown(now),
                {
                    "emailAddress": resource_name("emailAddresses", "eml", address.id),
                    "email": address.email,
                },
            ),
            create_time=now,
            deliver_by=now + rules.CONFIRMATION_LIFETIME,
        )
        await emails.note_confirmation(tx, address, message.id, now)
        found = await emails.targets(tx, [address.id])
        await send_to(tx, self._worker, [(message, found[address.id])])
        return await emails.find(tx, address.id) or address


def _check_etag(address: EmailAddress, etag: str) -> None:
    if etag and etag != address.etag:
        told = "the address was changed meanwhile; get it"
        raise AppError(Kind.ABORTED, errors.ETAG_MISMATCH, told)


def _missing(id: UUID) -> AppError:
    return not_found(resource_name("emailAddresses", "eml", id))


def _too_often(told: str, seconds: float) -> AppError:
    return AppError(Kind.RATE_LIMITED, errors.TOO_MANY_CONFIRMATIONS, told, retry_after=seconds)
