"""Postmark's webhooks: basic authentication, and the addresses that they come from."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address, ip_network

from services.delivery.channels.email.mail import read_reference
from services.delivery.channels.email.webhooks.request import (
    Webhook,
    code_of,
    document,
    dumped,
    mapping,
    refused,
    text,
    time,
)
from services.delivery.domain.email_events import EmailEvent, EventKind

NAME = "postmark"
_KINDS = {
    "Delivery": EventKind.DELIVERED,
    "SpamComplaint": EventKind.COMPLAINED,
}
_HARD = frozenset({"HardBounce", "BadEmailAddress", "ManuallyDeactivated"})
_SOFT = frozenset(
    {"SoftBounce", "Transient", "DnsError", "Blocked", "SpamNotification", "SMTPApiError"}
    | {
        "InboundError",
        "DMARCPolicy",
        "TemplateRenderingFailed",
        "Undeliverable",
        "VirusNotification",
    }
)


class PostmarkWebhooks:
    """`credentials` is "user:password"; `networks` are addresses or networks."""

    def __init__(self, credentials: str, networks: Sequence[str]) -> None:
        self._wanted = b"Basic " + b64encode(credentials.encode())
        self._networks = [ip_network(text) for text in networks]

    async def read(self, webhook: Webhook, now: datetime) -> list[EmailEvent]:
        """See `Reader.read`."""
        self._verify(webhook)
        told = mapping(document(webhook.body))
        word, sub = text(told.get("RecordType"), 100), text(told.get("Type"), 100)
        kind = _KINDS.get(word, EventKind.UNKNOWN)
        if word == "Bounce":
            kind = EventKind.SOFT_BOUNCED if sub in _SOFT else EventKind.UNKNOWN
            kind = EventKind.BOUNCED if sub in _HARD else kind
        mail = text(told.get("MessageID"), 200)
        recipient = text(told.get("Recipient") or told.get("Email"), 320)
        at = told.get("DeliveredAt") or told.get("BouncedAt") or told.get("ReceivedAt")
        bounce = text(told.get("ID"), 100)
        details = text(told.get("Details"))
        return [
            EmailEvent(
                NAME,
                f"{word}:{bounce}" if bounce else f"{word}:{mail}:{recipient}:{text(at, 40)}",
                kind,
                f"{word}.{sub}" if sub else word,
                time(at, now),
                recipient=recipient,
                reference=read_reference(dumped(told.get("Metadata")).decode()),
                provider_id=mail,
                code=_code(kind, details),
                detail=details or text(told.get("Description")),
                payload=webhook.body,
            )
        ]

    def _verify(self, webhook: Webhook) -> None:
        given = webhook.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._wanted):
            raise refused("the user or the password is wrong")
        try:
            address = ip_address(webhook.client)
        except ValueError:
            raise refused("it comes from nowhere") from None
        if not any(address in network for network in self._networks):
            raise refused("it does not come from Postmark's addresses")


def _code(kind: EventKind, details: str) -> str:
    if kind is EventKind.COMPLAINED:
        return "email_recipient_complained"
    said = details.removeprefix("smtp;")
    if kind is EventKind.BOUNCED:
        return code_of("", said, "email_invalid_recipient")
    return code_of("", said, "email_temporary_failure") if kind is EventKind.SOFT_BOUNCED else ""
