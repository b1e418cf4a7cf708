"""SendGrid's event webhook: signed with ECDSA over the timestamp and the body, many events each."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from services.delivery.channels.email.mail import read_reference
from services.delivery.channels.email.webhooks.request import (
    Webhook,
    base64_bytes,
    code_of,
    document,
    dumped,
    entries,
    refused,
    text,
    time,
)
from services.delivery.domain.email_events import EmailEvent, EventKind

NAME = "sendgrid"
# Theirs is the time of sending, and they try for a day; a repeat changes nothing in any case.
TOLERANCE = 2 * 86_400
_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
_KINDS = {
    "processed": EventKind.SENT,
    "delivered": EventKind.DELIVERED,
    "deferred": EventKind.DELAYED,
    "bounce": EventKind.BOUNCED,
    "dropped": EventKind.SOFT_BOUNCED,
    "spamreport": EventKind.COMPLAINED,
}


class SendgridWebhooks:
    """`keys` are base64 of public keys (DER), the current and the next."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [_key(text) for text in keys]

    async def read(self, webhook: Webhook, now: datetime) -> list[EmailEvent]:
        """See `Reader.read`."""
        self._verify(webhook, now)
        return [_event(told, now) for told in entries(document(webhook.body))]

    def _verify(self, webhook: Webhook, now: datetime) -> None:
        stamp = webhook.headers.get(_TIMESTAMP, "")
        signature = base64_bytes(webhook.headers.get(_SIGNATURE, ""))
        if not stamp.isdigit() or len(stamp) > 12 or not signature:
            raise refused("expected a signature and its timestamp")
        if abs(int(stamp) - now.timestamp()) > TOLERANCE:
            raise refused("the timestamp is too far away")
        for key in self._keys:
            try:
                key.verify(signature, stamp.encode() + webhook.body, ec.ECDSA(SHA256()))
            except InvalidSignature:
                continue
            return
        raise refused("no signature is ours")


def _event(told: Mapping[str, Any], now: datetime) -> EmailEvent:
    word, sub = text(told.get("event"), 100), text(told.get("type"), 100)
    kind = _KINDS.get(word, EventKind.UNKNOWN)
    reason, status = text(told.get("reason")), text(told.get("status"), 20)
    # "blocked" is the sender's trouble, not the mailbox's.
    if word == "bounce" and sub == "blocked":
        kind = EventKind.SOFT_BOUNCED
    at = told.get("timestamp")
    mail = text(told.get("sg_message_id"), 200)
    fallback = f"{word}:{mail}:{text(at, 40)}"
    # Their own id of the mail comes with a part that changes.
    reference = read_reference(text(told.get("smtp-id")) + " " + text(told.get("delivery")))
    return EmailEvent(
        NAME,
        text(told.get("sg_event_id"), 200) or fallback,
        kind,
        f"{word}.{sub}" if sub else word,
        time(at, now),
        recipient=text(told.get("email"), 320),
        reference=reference,
        provider_id=mail.partition(".")[0],
        code=_code(kind, status, reason),
        detail=reason or text(told.get("response")),
        payload=dumped(told),
    )


def _code(kind: EventKind, status: str, reason: str) -> str:
    if kind is EventKind.COMPLAINED:
        return "email_recipient_complained"
    if kind is EventKind.BOUNCED:
        return code_of(status, reason, "email_invalid_recipient")
    if kind is EventKind.SOFT_BOUNCED:
        return code_of(status, reason, "email_recipient_suppressed")
    return "email_recipient_deferred" if kind is EventKind.DELAYED else ""


def _key(text: str) -> ec.EllipticCurvePublicKey:
    key = load_der_public_key(b64decode(text))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("expected the public key of an elliptic curve")  # noqa: TRY004 # its value
    return key
