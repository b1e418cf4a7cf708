"""SES's events by way of SNS: signed with a certificate that only Amazon's own host serves."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509.oid import NameOID

from libs.errors import AppError, Kind
from services.delivery.channels.email.mail import read_reference
from services.delivery.channels.email.webhooks.request import (
    Webhook,
    base64_bytes,
    code_of,
    document,
    dumped,
    entries,
    mapping,
    refused,
    text,
    time,
)
from services.delivery.domain.email_events import EmailEvent, EventKind

NAME = "ses"
# SNS tries for hours, each time with the message as it was signed first.
TOLERANCE = timedelta(hours=24)
_HOST = re.compile(r"sns\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com(?:\.cn)?")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{20,64}\.pem")
_NAMES = frozenset({"sns.amazonaws.com"})
_NOTICE = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_HANDSHAKE = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_CERTIFICATES = 8
Fetch = Callable[[str], Awaitable[bytes]]
_KINDS = {
    "send": EventKind.SENT,
    "delivery": EventKind.DELIVERED,
    "deliverydelay": EventKind.DELAYED,
    "bounce": EventKind.BOUNCED,
    "complaint": EventKind.COMPLAINED,
    "reject": EventKind.SOFT_BOUNCED,
}
# Where in the event its recipients are.
_RECIPIENTS = {
    "bounce": "bouncedRecipients",
    "complaint": "complainedRecipients",
    "deliverydelay": "delayedRecipients",
}
_PARTS = {"deliverydelay": "deliveryDelay"}


class SesWebhooks:
    """Believes the topics in `topics` alone. `fetch` gets a document over verified HTTPS, and
    raises OSError."""

    def __init__(self, topics: Sequence[str], fetch: Fetch) -> None:
        self._topics = frozenset(topics)
        self._fetch = fetch
        self._certificates: OrderedDict[str, x509.Certificate] = OrderedDict()

    async def read(self, webhook: Webhook, now: datetime) -> list[EmailEvent]:
        """See `Reader.read`. A topic that asks whether we want it is told yes."""
        told = mapping(document(webhook.body))
        await self._verify(told, now)
        if told.get("Type") == "SubscriptionConfirmation":
            url = text(told.get("SubscribeURL"), 2000)
            _check_url(url)
            await self._fetch(url)
            return []
        if told.get("Type") != "Notification":
            return []
        message = text(told.get("Message"), 1_000_000)
        inner = mapping(document(message.encode()))
        return _events(inner, text(told.get("MessageId"), 100), now)

    async def _verify(self, told: Mapping[str, Any], now: datetime) -> None:
        if text(told.get("TopicArn"), 300) not in self._topics:
            raise refused("the topic is none of ours")
        at = time(told.get("Timestamp"), now + timedelta(days=365))
        if abs(at - now) > TOLERANCE:
            raise refused("the timestamp is more than a day away")
        fields = _NOTICE if told.get("Type") == "Notification" else _HANDSHAKE
        signed = "".join(
            f"{name}\n{told[name]}\n" for name in fields if isinstance(told.get(name), str)
        )
        hashed = SHA256() if told.get("SignatureVersion") == "2" else SHA1()  # noqa: S303 # theirs
        certificate = await self._certificate(text(told.get("SigningCertURL"), 2000), now)
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise refused("the certificate holds no RSA key")
        try:
            signature = base64_bytes(text(told.get("Signature"), 2000))
            key.verify(signature, signed.encode(), PKCS1v15(), hashed)
        except InvalidSignature:
            raise refused("the signature does not fit") from None

    async def _certificate(self, url: str, now: datetime) -> x509.Certificate:
        """The certificate at one of Amazon's own addresses, valid now, in SNS's own name."""
        if not _CERTIFICATE.fullmatch(_check_url(url)):
            raise refused("the certificate is not where SNS keeps its own")
        found = self._certificates.get(url)
        if found is None:
            try:
                found = x509.load_pem_x509_certificate(await self._fetch(url))
            except OSError as error:
                told = "the certificate cannot be had just now"
                raise AppError(Kind.UNAVAILABLE, "certificate_unavailable", told) from error
            except ValueError:
                raise refused("there is no certificate at its address") from None
            names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            if not _NAMES & {str(name.value) for name in names}:
                raise refused("the certificate is not in the name of SNS")
            self._certificates[url] = found
            if len(self._certificates) > _CERTIFICATES:
                self._certificates.popitem(last=False)
        if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
            raise refused("the certificate is not valid now")
        return found


def _check_url(url: str) -> str:
    """The path of an address that is Amazon's. Raises AppError (UNAUTHENTICATED)."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "https" and parts.port in (None, 443) and not parts.username
    except ValueError:
        plain = False
    if not plain or not _HOST.fullmatch(parts.hostname or ""):
        raise refused("the address is not one of SNS")
    return parts.path


def _events(told: Mapping[str, Any], id: str, now: datetime) -> list[EmailEvent]:
    word = text(told.get("eventType") or told.get("notificationType"), 100)
    lower = word.lower()
    part = mapping(told.get(_PARTS.get(lower, lower)))
    mail = mapping(told.get("mail"))
    kind = _KINDS.get(lower, EventKind.UNKNOWN)
    sub = text(part.get("bounceType"), 100)
    if kind is EventKind.BOUNCED and sub != "Permanent":
        kind = EventKind.SOFT_BOUNCED
    named = entries(part.get(_RECIPIENTS.get(lower, "")))
    if not named:
        listed = part.get("recipients") or mail.get("destination")
        named = [{"emailAddress": each} for each in listed] if isinstance(listed, list) else [{}]
    return [
        EmailEvent(
            NAME,
            f"{id}:{at}",
            kind,
            f"{word}.{sub}" if sub else word,
            time(part.get("timestamp") or mail.get("timestamp"), now),
            recipient=text(each.get("emailAddress"), 320),
            reference=read_reference(dumped([mail.get("headers"), mail.get("tags")]).decode()),
            provider_id=text(mail.get("messageId"), 200),
            code=_code(kind, each),
            detail=text(each.get("diagnosticCode")) or text(part.get("smtpResponse")),
            payload=dumped(told),
        )
        for at, each in enumerate(named)
    ]


def _code(kind: EventKind, recipient: Mapping[str, Any]) -> str:
    if kind is EventKind.COMPLAINED:
        return "email_recipient_complained"
    said = text(recipient.get("diagnosticCode")).removeprefix("smtp;").strip()
    status = text(recipient.get("status"), 20)
    if kind is EventKind.BOUNCED:
        return code_of(status, said, "email_invalid_recipient")
    if kind in (EventKind.SOFT_BOUNCED, EventKind.DELAYED):
        return code_of(status, said, "email_temporary_failure")
    return ""
