"""Providers' webhooks: who is believed, and what they say."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import AppError, Kind
from services.delivery.channels.email.mail import read_reference
from services.delivery.channels.email.webhooks.postmark import PostmarkWebhooks
from services.delivery.channels.email.webhooks.request import Webhook
from services.delivery.channels.email.webhooks.resend import ResendWebhooks
from services.delivery.channels.email.webhooks.sendgrid import SendgridWebhooks
from services.delivery.channels.email.webhooks.ses import SesWebhooks
from services.delivery.domain.email_events import EventKind

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
REFERENCE = "msg_01j00000000000000000000001.eml_01j00000000000000000000002"
OURS = read_reference(REFERENCE)
KEY, NEXT = b"c" * 32, b"n" * 32


def whsec(key):
    return "whsec_" + b64encode(key).decode()


def svix(body, key=KEY, at=NOW, id="msg_2abc", more=""):
    stamp = str(int(at.timestamp()))
    mac = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"{more}v1,{b64encode(mac).decode()}"
    headers = {"svix-id": id, "svix-timestamp": stamp, "svix-signature": signature}
    return Webhook(body, headers, "203.0.113.9")


def resend_body(kind="email.delivered", **data):
    said = {
        "email_id": "56761188",
        "to": ["ann@example.com"],
        "tags": {"delivery": REFERENCE.replace(".", "-")},
        **data,
    }
    told = {"type": kind, "created_at": "2026-11-23T07:29:58.123Z", "data": said}
    return json.dumps(told).encode()


async def refused(reader, webhook, now=NOW):
    with pytest.raises(AppError) as caught:
        await reader.read(webhook, now)
    return caught.value.kind


async def test_resend_is_believed_by_either_secret():
    reader = ResendWebhooks([whsec(KEY), whsec(NEXT)])
    body = resend_body()
    for key in (KEY, NEXT):
        [event] = await reader.read(svix(body, key, more="v1,AAAA v2,x "), NOW)
        assert event.kind is EventKind.DELIVERED
        assert event.reference == OURS
        assert (event.event_id, event.provider_id) == ("msg_2abc", "56761188")
        assert event.recipient == "ann@example.com"
        assert event.occur_time == datetime(2026, 11, 23, 7, 29, 58, 123000, UTC)


async def test_nobody_else_is_resend():
    reader, body = ResendWebhooks([whsec(KEY)]), resend_body()
    good = svix(body)
    bad = [
        svix(body, b"x" * 32),
        Webhook(body + b" ", good.headers, ""),
        Webhook(body, {**good.headers, "svix-id": "other"}, ""),
        Webhook(body, {**good.headers, "svix-timestamp": "1"}, ""),
        Webhook(body, {}, ""),
        svix(body, at=NOW - timedelta(minutes=6)),
        svix(body, at=NOW + timedelta(minutes=6)),
    ]
    for webhook in bad:
        assert await refused(reader, webhook) is Kind.UNAUTHENTICATED
    assert await refused(reader, svix(b"{")) is Kind.INVALID


@pytest.mark.parametrize(
    ("kind", "data", "wanted", "code"),
    [
        ("email.sent", {}, EventKind.SENT, ""),
        ("email.delivery_delayed", {}, EventKind.DELAYED, "email_recipient_deferred"),
        ("email.complained", {}, EventKind.COMPLAINED, "email_recipient_complained"),
        (
            "email.bounced",
            {"bounce": {"type": "Permanent", "subType": "General", "message": "no"}},
            EventKind.BOUNCED,
            "email_invalid_recipient",
        ),
        (
            "email.bounced",
            {"bounce": {"type": "Transient", "subType": "MailboxFull", "message": "full"}},
            EventKind.SOFT_BOUNCED,
            "email_mailbox_full",
        ),
        ("email.opened", {}, EventKind.UNKNOWN, ""),
        ("email.what_comes_next_year", {"tags": 7, "to": {}}, EventKind.UNKNOWN, ""),
    ],
)
async def test_resends_words(kind, data, wanted, code):
    reader = ResendWebhooks([whsec(KEY)])
    [event] = await reader.read(svix(resend_body(kind, **data)), NOW)
    assert (event.kind, event.code, event.provider_kind) == (wanted, code, kind)


# Postmark.

BASIC = {"authorization": "Basic " + b64encode(b"pq:secret").decode()}


def postmark(body, headers=BASIC, client="3.134.147.250"):
    return Webhook(json.dumps(body).encode(), headers, client)


async def test_postmark_is_believed_by_password_and_address():
    reader = PostmarkWebhooks("pq:secret", ["3.134.147.250", "50.31.156.0/24"])
    told = {
        "RecordType": "Bounce",
        "Type": "HardBounce",
        "ID": 692560173,
        "MessageID": "2c1b63fe",
        "Email": "ann@example.com",
        "BouncedAt": "2026-11-23T07:00:00Z",
        "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist",
        "Metadata": {"delivery": REFERENCE},
    }
    [event] = await reader.read(postmark(told), NOW)
    assert (event.kind, event.code) == (EventKind.BOUNCED, "email_invalid_recipient")
    assert (event.reference, event.event_id) == (OURS, "Bounce:692560173")
    assert await reader.read(postmark(told, client="50.31.156.77"), NOW)
    for webhook in (
        postmark(told, headers={}),
        postmark(told, headers={"authorization": "Basic " + b64encode(b"pq:other").decode()}),
        postmark(told, client="203.0.113.9"),
        postmark(told, client=""),
    ):
        assert await refused(reader, webhook) is Kind.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("record", "sub", "wanted"),
    [
        ("Delivery", None, EventKind.DELIVERED),
        ("SpamComplaint", "SpamComplaint", EventKind.COMPLAINED),
        ("Bounce", "SoftBounce", EventKind.SOFT_BOUNCED),
        ("Bounce", "AutoResponder", EventKind.UNKNOWN),
        ("Open", None, EventKind.UNKNOWN),
    ],
)
async def test_postmarks_words(record, sub, wanted):
    reader = PostmarkWebhooks("pq:secret", ["0.0.0.0/0"])
    [event] = await reader.read(postmark({"RecordType": record, "Type": sub}), NOW)
    assert event.kind is wanted


# SendGrid.


def sendgrid(body, key, at=NOW):
    stamp = str(int(at.timestamp()))
    signature = b64encode(key.sign(stamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    headers = {
        "x-twilio-email-event-webhook-signature": signature,
        "x-twilio-email-event-webhook-timestamp": stamp,
    }
    return Webhook(body, headers, "")


def public(key):
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(der).decode()


async def test_sendgrid_is_believed_by_its_curve():
    old, new, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    reader = SendgridWebhooks([public(old), public(new)])
    told = [
        {
            "event": "bounce",
            "type": "bounce",
            "email": "ann@example.com",
            "timestamp": 1700000000,
            "sg_event_id": "e1",
            "sg_message_id": "abc.filter001",
            "smtp-id": f"<{REFERENCE}@pq.example.com>",
            "status": "5.1.1",
            "reason": "550 5.1.1 user unknown",
        },
        {"event": "bounce", "type": "blocked", "sg_event_id": "e2", "reason": "550 5.7.1 blocked"},
        {"event": "open", "sg_event_id": "e3"},
        "rubbish",
    ]
    body = json.dumps(told).encode()
    for key in (old, new):
        events = await reader.read(sendgrid(body, key), NOW)
        kinds = [event.kind for event in events]
        assert kinds == [EventKind.BOUNCED, EventKind.SOFT_BOUNCED, EventKind.UNKNOWN]
        assert (events[0].reference, events[0].provider_id) == (OURS, "abc")
    good = sendgrid(body, old)
    for webhook in (
        sendgrid(body, other),
        Webhook(body + b" ", good.headers, ""),
        Webhook(body, {}, ""),
        sendgrid(body, old, NOW - timedelta(days=3)),
    ):
        assert await refused(reader, webhook) is Kind.UNAUTHENTICATED


# SES.

TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses"
CERTIFICATE_URL = (
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" + "0a" * 16 + ".pem"
)
SIGNING = rsa.generate_private_key(65537, 2048)


def certificate(name="sns.amazonaws.com", until=NOW + timedelta(days=90)):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(SIGNING.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=90))
        .not_valid_after(until)
        .sign(SIGNING, SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def sns(message, key=SIGNING, version="1", **changed):
    told = {
        "Type": "Notification",
        "MessageId": "m-1",
        "TopicArn": TOPIC,
        "Message": json.dumps(message),
        "Timestamp": "2026-11-23T07:29:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE_URL,
        **changed,
    }
    names = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn")
    signed = "".join(f"{name}\n{told[name]}\n" for name in (*names, "Type") if name in told)
    hashed = SHA256() if version == "2" else SHA1()
    told["Signature"] = b64encode(key.sign(signed.encode(), PKCS1v15(), hashed)).decode()
    return Webhook(json.dumps(told).encode(), {}, "")


BOUNCE = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bouncedRecipients": [
            {
                "emailAddress": "ann@example.com",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 no user",
            }
        ],
        "timestamp": "2026-11-23T07:28:00.000Z",
    },
    "mail": {
        "messageId": "0102",
        "headers": [{"name": "Message-ID", "value": f"<{REFERENCE}@pq.example.com>"}],
    },
}


class Documents:
    def __init__(self, pem=None):
        self.asked = []
        self.pem = pem if pem is not None else certificate()

    async def __call__(self, url):
        self.asked.append(url)
        return self.pem


@pytest.mark.parametrize("version", ["1", "2"])
async def test_ses_is_believed_by_a_certificate_of_sns(version):
    documents = Documents()
    reader = SesWebhooks([TOPIC], documents)
    for _ in range(2):
        [event] = await reader.read(sns(BOUNCE, version=version), NOW)
    assert (event.kind, event.code) == (EventKind.BOUNCED, "email_invalid_recipient")
    assert (event.reference, event.recipient) == (OURS, "ann@example.com")
    assert documents.asked == [CERTIFICATE_URL]  # kept


URLS = [
    "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" + "0a" * 16 + ".pem",
    "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0a.pem",
    "https://evil.example/SimpleNotificationService-" + "0a" * 16 + ".pem",
    "https://s3.amazonaws.com/evil/SimpleNotificationService-" + "0a" * 16 + ".pem",
    "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-" + "0a" * 16 + ".pem",
    "https://sns.eu-west-1.amazonaws.com/other.pem",
    "https://[::1",
    "",
]


@pytest.mark.parametrize("url", URLS)
async def test_a_certificate_from_elsewhere_is_not_even_fetched(url):
    documents = Documents()
    reader = SesWebhooks([TOPIC], documents)
    assert await refused(reader, sns(BOUNCE, SigningCertURL=url)) is Kind.UNAUTHENTICATED
    assert documents.asked == []


async def test_nobody_else_is_ses():
    reader = SesWebhooks([TOPIC], Documents())
    other = rsa.generate_private_key(65537, 2048)
    tampered = json.loads(sns(BOUNCE).body) | {"Message": "{}"}
    for webhook in (
        sns(BOUNCE, other),
        Webhook(json.dumps(tampered).encode(), {}, ""),
        sns(BOUNCE, TopicArn="arn:aws:sns:eu-west-1:999999999999:other"),
        sns(BOUNCE, Timestamp="2026-11-21T07:29:00.000Z"),
        sns(BOUNCE, Timestamp="rubbish"),
    ):
        assert await refused(reader, webhook) is Kind.UNAUTHENTICATED
    for pem in (
        certificate("evil.example"),
        certificate(until=NOW - timedelta(days=1)),
        b"rubbish",
    ):
        bad = SesWebhooks([TOPIC], Documents(pem))
        assert await refused(bad, sns(BOUNCE)) is Kind.UNAUTHENTICATED


async def test_a_topic_that_asks_is_told_yes_at_amazons_address_alone():
    documents = Documents()
    reader = SesWebhooks([TOPIC], documents)
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    asks = {"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": url}
    assert await reader.read(sns({}, **asks), NOW) == []
    assert documents.asked == [CERTIFICATE_URL, url]
    evil = asks | {"SubscribeURL": "https://evil.example/"}
    assert await refused(reader, sns({}, **evil)) is Kind.UNAUTHENTICATED


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda c: (
            st.lists(c)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "data",
                        "type",
                        "to",
                        "tags",
                        "bounce",
                        "RecordType",
                        "ID",
                        "event",
                        "timestamp",
                        "mail",
                        "bounceType",
                    ]
                )
                | st.text(max_size=5),
                c,
            )
        ),
    )
)
async def test_rubbish_that_is_signed_is_kept_and_never_a_fault(value):
    body = json.dumps(value).encode()
    await ResendWebhooks([whsec(KEY)]).read(svix(body), NOW)
    await PostmarkWebhooks("pq:secret", ["0.0.0.0/0"]).read(
        Webhook(body, BASIC, "3.134.147.250"), NOW
    )
    await SesWebhooks([TOPIC], Documents()).read(sns(value), NOW)
