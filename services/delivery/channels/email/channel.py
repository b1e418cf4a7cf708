"""One e-mail, from a leased delivery to what a provider answered.

Before a provider is asked, the database knows that it is: if we die before its answer is kept, that
provider alone is asked again, with the same idempotency key and Message-ID. Another one is tried
only where the first has certainly not taken it.
"""

from __future__ import annotations

import logging
from datetime import datetime
from uuid import UUID

from libs.clock import Clock
from libs.db import Database, is_transient
from libs.ids import Ids, encode
from libs.obs.metrics import EMAIL_ERROR_CODES, EMAIL_STAGES
from services.delivery.channels.email.choose import Choice, Routes, learn, pause_of
from services.delivery.channels.email.mail import Answer, Mail, Sender, reference_of
from services.delivery.channels.email.render import CONFIRMATION, Renderer, Urls
from services.delivery.domain.email_addresses import (
    CONFIRMATION_LIFETIME,
    MAX_DETAIL,
    EmailState,
    Suppression,
    SuppressionReason,
    key_of,
)
from services.delivery.domain.email_codes import Classified, Kind
from services.delivery.domain.email_links import Links
from services.delivery.domain.model import DeliveryState, Leased, Message, Target
from services.delivery.domain.outcome import OK, UNASKED, Exchange
from services.delivery.sending.settled import delivery_id
from services.delivery.store import email_sends, email_suppressions
from services.delivery.store.email_sends import Standing

log = logging.getLogger(__name__)

GONE = "email_address_deleted"
SUPPRESSED = "email_recipient_suppressed"
UNSUBSCRIBED = "email_unsubscribed"
UNCONFIRMED = "address_unconfirmed"
CONFIRMED_ALREADY = "email_confirmed_already"
NO_TEMPLATE = "email_no_template"
AGAIN = "email_provider_unavailable"
_BODY = 1024

_FAILED, _CANCELLED, _SENT = DeliveryState.FAILED, DeliveryState.CANCELLED, DeliveryState.SENT


class EmailChannel:
    """Sends deliveries by e-mail."""

    def __init__(
        self,
        db: Database,
        routes: Routes,
        renderer: Renderer,
        links: Links,
        sender: Sender,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._routes = routes
        self._renderer = renderer
        self._links = links
        self._sender = sender

    async def send(self, delivery: Leased) -> Exchange:
        """Makes one attempt. Whatever a provider does is an Exchange, never an exception."""
        message, target = delivery.message, delivery.target
        try:
            standing = await email_sends.standing(self._db, message.id, target.endpoint)
            stop = self._stop(message, standing)
            if stop is not None:
                return stop
            mail = self.mail(message, target)
            choice = self._routes.choice(standing.provider if standing.uncertain else "")
            return await self._through(choice, mail, message.id, target.endpoint)
        except Exception as error:
            if not is_transient(error):
                raise
            # Nothing was asked, or the database knows whom we asked.
            log.warning("an e-mail waits for the database", extra={"error": repr(error)})
            return Exchange("internal")

    async def close(self) -> None:
        """Closes what is kept open."""
        await self._routes.close()

    def mail(self, message: Message, target: Target) -> Mail:
        """The e-mail of a delivery; always the same."""
        address = target.endpoint
        urls = self._urls(message, address)
        words = self._renderer.render(message.event_type, message.payload, target.url, urls)
        reference = reference_of(message.id, address)
        headers = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
        if urls.unsubscribe:
            headers["List-Unsubscribe"] = f"<{urls.unsubscribe}>"
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        # Campaign, customer, type and sender, as Gmail's feedback loop reads them.
        kind = message.event_type.replace(".", "-")
        headers["Feedback-ID"] = f"{kind}:{encode('acc', message.account)}:{kind}:pq"
        return Mail(
            reference=reference,
            key=encode("dlv", delivery_id(message.id, address)),
            sender=self._sender,
            recipient=target.url,
            subject=words.subject,
            text=words.text,
            html=words.html,
            message_id=f"<{reference}@{self._sender.domain}>",
            date=message.create_time,
            headers=headers,
        )

    def _urls(self, message: Message, address: UUID) -> Urls:
        if message.event_type != CONFIRMATION:
            return Urls(self._links.base, unsubscribe=self._links.unsubscribe(address))
        expiry = expiry_of(message)
        return Urls(self._links.base, confirm=self._links.confirm(address, expiry), expiry=expiry)

    def _stop(self, message: Message, standing: Standing) -> Exchange | None:
        """Why no provider is to be asked, if that is so."""
        state, confirms = standing.state, message.event_type == CONFIRMATION
        if standing.accepted:
            return Exchange(OK, ends=_SENT)
        if state is None:
            return Exchange(GONE, ends=_CANCELLED)
        if state is EmailState.SUPPRESSED:
            return Exchange(SUPPRESSED, ends=_FAILED)
        if state is EmailState.UNSUBSCRIBED:
            return Exchange(UNSUBSCRIBED, ends=_FAILED)
        if confirms and state is EmailState.CONFIRMED:
            return Exchange(CONFIRMED_ALREADY, ends=_CANCELLED)
        if not confirms and state is EmailState.UNCONFIRMED:
            return Exchange(UNCONFIRMED, ends=_FAILED)
        if not self._renderer.knows(message.event_type):
            return Exchange(NO_TEMPLATE, ends=_FAILED)
        return None

    async def _through(self, choice: Choice, mail: Mail, message: UUID, address: UUID) -> Exchange:
        """Asks one provider after the other, until one takes it or none is left."""
        exchange = None
        while (route := await choice.next_route()) is not None:
            await email_sends.asking(self._db, message, address, route.provider.name)
            answer = await route.provider.send(mail)
            if answer.refusal is None:
                # Before all else: nothing is in the way of knowing that it is on its way.
                await email_sends.accepted(self._db, message, address, answer.provider_id)
                await learn(route, answer)
                EMAIL_STAGES.labels(route.provider.name, "accepted").inc()
                return _exchange(answer)
            await learn(route, answer)
            EMAIL_ERROR_CODES.labels(route.provider.name, answer.refusal.code.name).inc()
            exchange = _exchange(answer)
            if not answer.certain:
                return exchange
            await email_sends.refused(self._db, message, address)
            if answer.refusal.code.hard:
                await self._suppress(mail.recipient, route.provider.name, answer.refusal)
            if not answer.refusal.code.elsewhere:
                return exchange
        blocked = choice.blocked
        if exchange is None and blocked is not None:
            return Exchange(UNASKED, retry_after=blocked.seconds, waits=blocked.reason)
        return exchange or Exchange(AGAIN)

    async def _suppress(self, recipient: str, source: str, refusal: Classified) -> None:
        """The mailbox does not exist, as the provider said at once."""
        found = Suppression(
            self._ids.uuid(),
            key_of(recipient),
            SuppressionReason.HARD_BOUNCE,
            refusal.text[:MAX_DETAIL],
            source,
            self._clock.now(),
        )
        async with self._db.transaction() as tx:
            await email_suppressions.insert(tx, [found])


def expiry_of(message: Message) -> datetime:
    """When the link in a confirmation ends."""
    return message.create_time + CONFIRMATION_LIFETIME


def _exchange(answer: Answer) -> Exchange:
    refusal = answer.refusal
    body = answer.text.encode()[:_BODY]
    if refusal is None:
        return Exchange(OK, answer.reply_code, body, answer.remote_address, ends=_SENT)
    kind = refusal.code.kind
    final = kind in (Kind.PERMANENT, Kind.SUPPRESSED) and answer.certain
    waits = "rate_limited" if kind is Kind.RATE and answer.certain else ""
    return Exchange(
        refusal.code.name,
        answer.reply_code,
        body,
        answer.remote_address,
        retry_after=pause_of(answer) if waits else answer.retry_after,
        ends=_FAILED if final else None,
        waits=waits,
    )
