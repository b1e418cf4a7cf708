"""Resend's webhooks: signed as Svix signs (Standard Webhooks), with two secrets in a rotation."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime

from services.delivery.channels.email.mail import read_reference
from services.delivery.channels.email.webhooks.request import (
    Webhook,
    document,
    dumped,
    mapping,
    refused,
    text,
    time,
)
from services.delivery.domain.email_events import EmailEvent, EventKind

NAME = "resend"
TOLERANCE = 300  # seconds that their clock and ours may differ
_KINDS = {
    "email.sent": EventKind.SENT,
    "email.delivered": EventKind.DELIVERED,
    "email.delivery_delayed": EventKind.DELAYED,
    "email.bounced": EventKind.BOUNCED,
    "email.suppressed": EventKind.BOUNCED,
    "email.complained": EventKind.COMPLAINED,
    "email.failed": EventKind.SOFT_BOUNCED,
}


class ResendWebhooks:
    """`secrets` are "whsec_…": the current, and the next while it is rotated."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [b64decode(secret.removeprefix("whsec_")) for secret in secrets]

    async def read(self, webhook: Webhook, now: datetime) -> list[EmailEvent]:
        """See `Reader.read`."""
        id = self._verify(webhook, now)
        told = mapping(document(webhook.body))
        data = mapping(told.get("data"))
        word = text(told.get("type"), 100)
        bounce = mapping(data.get("bounce"))
        failed = mapping(data.get("failed"))
        kind = _KINDS.get(word, EventKind.UNKNOWN)
        # "Undetermined" is no reason to give a mailbox up.
        if word == "email.bounced" and bounce.get("type") not in (None, "Permanent"):
            kind = EventKind.SOFT_BOUNCED
        to = data.get("to")
        said = text(bounce.get("message")) or text(failed.get("reason"))
        return [
            EmailEvent(
                NAME,
                id,
                kind,
                word,
                time(told.get("created_at"), now),
                recipient=text(to[0], 320) if isinstance(to, list) and to else text(to, 320),
                reference=read_reference(dumped(data.get("tags")).decode().replace("-eml", ".eml")),
                provider_id=text(data.get("email_id"), 200),
                code=_code(kind, text(bounce.get("subType"))),
                detail=said,
                payload=webhook.body,
            )
        ]

    def _verify(self, webhook: Webhook, now: datetime) -> str:
        """The webhook's id. Raises AppError (UNAUTHENTICATED)."""
        headers = webhook.headers
        id, stamp = headers.get("svix-id", ""), headers.get("svix-timestamp", "")
        if not id or not stamp.isdigit() or len(stamp) > 12:
            raise refused("expected svix-id, svix-timestamp and svix-signature")
        if abs(int(stamp) - now.timestamp()) > TOLERANCE:
            raise refused("the timestamp is more than five minutes away")
        signed = f"{id}.{stamp}.".encode() + webhook.body
        given = [
            part.removeprefix("v1,").encode()
            for part in headers.get("svix-signature", "").split()
            if part.startswith("v1,")
        ]
        for key in self._keys:
            wanted = b64encode(hmac.digest(key, signed, "sha256"))
            if any(hmac.compare_digest(wanted, each) for each in given):
                return id[:200]
        raise refused("no signature is ours")


def _code(kind: EventKind, sub: str) -> str:
    if kind is EventKind.COMPLAINED:
        return "email_recipient_complained"
    if sub in ("Suppressed", "OnAccountSuppressionList"):
        return "email_recipient_suppressed"
    if sub == "MailboxFull":
        return "email_mailbox_full"
    return _CODES.get(kind, "")


_CODES = {
    EventKind.BOUNCED: "email_invalid_recipient",
    EventKind.SOFT_BOUNCED: "email_temporary_failure",
    EventKind.DELAYED: "email_recipient_deferred",
}
