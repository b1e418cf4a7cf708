"""E-mails as bytes and as words: what people chose reaches a reader, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from uuid import UUID

import dkim as dkimpy
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import AppError, Kind
from services.delivery.channels.email import mime, resend
from services.delivery.channels.email.dkim import Selector, Signer, parse_selector
from services.delivery.channels.email.mail import (
    Mail,
    Sender,
    header_text,
    read_reference,
    reference_of,
)
from services.delivery.channels.email.render import Renderer, Urls
from services.delivery.domain.email_addresses import check_email, is_disposable
from services.delivery.domain.email_links import LinkKind, Links

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
MESSAGE = UUID("01900000-0000-7000-8000-000000000001")
ADDRESS = UUID("01900000-0000-7000-8000-000000000002")
HOSTILE = [
    "a\r\nBcc: everybody@example.com",
    "a\nSubject: other",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "a\u2028b\x00c\x85d",
    "\u202eevil",
    "x" * 5000,
]


def mail(**changed):
    values = {
        "reference": reference_of(MESSAGE, ADDRESS),
        "key": "dlv_1",
        "sender": Sender("pq alerts", "alerts@pq.example.com"),
        "recipient": "ann@example.com",
        "subject": "Käse: 12.50 USD",
        "text": "Grüße\n.\nFrom here\n" + "long " * 300,
        "html": "<p>Grüße</p>",
        "message_id": "<1@pq.example.com>",
        "date": NOW,
        "headers": {
            "List-Unsubscribe": "<https://pq.example.com/v1/unsubscriptions/" + "A" * 80 + ">"
        },
    }
    return Mail(**(values | changed))


def parsed(data):
    return message_from_bytes(data, policy=default)


def test_a_message_holds_text_and_html_and_its_headers():
    data = mime.build(mail())
    message = parsed(data)
    assert message["From"] == "pq alerts <alerts@pq.example.com>"
    assert message["Subject"] == "Käse: 12.50 USD"
    assert message["Message-ID"] == "<1@pq.example.com>"
    assert message["Date"].datetime == NOW
    assert message["List-Unsubscribe"].startswith("<https://pq.example.com/v1/unsub")
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert message.get_body(("plain",)).get_content().startswith("Grüße\r\n.\r\nFrom here")
    assert data.isascii()
    assert b"\r\nMessage-ID: <1@pq.example.com>\r\n" in data
    assert b"\r\nList-Unsubscribe: <https://pq.example.com/v1/unsubscriptions/AAAA" in data
    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert mime.build(mail()) == data


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_ends_a_header(text):
    message = parsed(mime.build(mail(subject=header_text(text))))
    assert message["Bcc"] is None
    assert len(message.get_all("Subject")) == 1
    assert "\n" not in resend.payload(mail(subject=header_text(text)))["subject"]


@given(st.text(max_size=300))
def test_whatever_a_subject_is_the_message_can_be_read_again(text):
    message = parsed(mime.build(mail(subject=header_text(text.encode(errors="replace").decode()))))
    assert set(message.keys()) >= {"From", "To", "Subject", "Date", "Message-ID", "MIME-Version"}
    assert message["Bcc"] is None


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "kind", ["alert.triggered", "alert.digest", "endpoint.failing", "endpoint.disabled"]
)
def test_what_people_chose_is_text_in_html(kind, text):
    money = {"currencyCode": "USD", "amount": "12.50"}
    alert = {
        "card": text,
        "cardName": text,
        "price": money,
        "threshold": None,
        "percent": 5.0,
        "previousPrice": None,
        "previousDay": None,
        "changePercent": -3.0,
        "day": "2026-11-22",
        "reason": text,
        "note": text,
        "fireTime": "2026-11-22T18:02:11Z",
    }
    data = {
        **alert,
        "alerts": [alert],
        "url": text,
        "endpoint": "endpoints/ep_1",
        "description": text,
        "reason": text,
        "lastCode": text,
    }
    urls = Urls("https://pq.example.com", unsubscribe="https://pq.example.com/u")
    made = Renderer().render(kind, orjson.dumps({"data": data}), "ann@example.com", urls)
    for bad in ("<script>", "<img src=x", "49"):
        if bad in text or (bad == "49" and "7 * 7" in text):
            assert bad not in made.html
    assert "\n" not in made.subject
    assert "\r" not in made.subject
    assert len(made.subject) <= 200
    assert "https://pq.example.com/u" in made.text
    assert "https://pq.example.com/u" in made.html


def test_a_payload_that_lacks_a_field_is_an_error_and_not_a_blank():
    with pytest.raises(KeyError):
        Renderer().render("alert.triggered", b'{"data":{"card":"c"}}', "a@b.de", Urls("https://x"))


def key_pair():
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return private, public


def test_signatures_verify_and_the_selector_that_came_last_signs():
    from base64 import b64encode

    (old, old_public), (new, new_public) = key_pair(), key_pair()
    records = {
        b"old._domainkey.pq.example.com.": b"v=DKIM1; k=rsa; p=" + b64encode(old_public),
        b"new._domainkey.pq.example.com.": b"v=DKIM1; k=rsa; p=" + b64encode(new_public),
    }
    signer = Signer(
        "pq.example.com", [Selector("new", new, NOW), Selector("old", old, NOW - timedelta(9))]
    )
    data = mime.build(mail())

    def dns(name, timeout=5):
        return records.get(name)

    for now, selector in ((NOW - timedelta(1), b"s=old"), (NOW, b"s=new")):
        signed = signer.sign(data, now)
        assert selector in signed
        assert dkimpy.verify(signed, dnsfunc=dns)
        changed = signed.replace(b"Date: Mon", b"Date: Tue")
        assert changed != signed
        assert not dkimpy.verify(changed, dnsfunc=dns)
        added = signed.replace(b"Subject:", b"Subject: other\r\nSubject:", 1)
        assert not dkimpy.verify(added, dnsfunc=dns)
    assert signer.sign(data, NOW - timedelta(10)) == data


@pytest.mark.parametrize("text", ["", "sel", "sel:", ":file", "sel:/nowhere/key.pem"])
def test_a_selector_that_cannot_be_one(text):
    with pytest.raises(ValueError, match="selector"):
        parse_selector(text)


def test_a_selector_with_its_time(tmp_path: Path):
    file = tmp_path / "key.pem"
    file.write_bytes(b"-----BEGIN RSA PRIVATE KEY-----\n")
    assert parse_selector(f"s1:{file}:2026-12-01T00:00:00+00:00").valid_from.month == 12
    with pytest.raises(ValueError, match="offset"):
        parse_selector(f"s1:{file}:2026-12-01T00:00:00")


def test_links_are_bound_to_address_purpose_and_time():
    links = Links([b"k" * 32], "https://pq.example.com/")
    until = NOW + timedelta(days=3)
    token = links.token(LinkKind.CONFIRM, ADDRESS, until)
    assert links.confirm(ADDRESS, until) == f"https://pq.example.com/v1/confirmations/{token}"
    assert links.open(token, LinkKind.CONFIRM, NOW) == ADDRESS
    for wrong, kind, now in [
        (token, LinkKind.UNSUBSCRIBE, NOW),
        (token[:-2] + "AA", LinkKind.CONFIRM, NOW),
        ("", LinkKind.CONFIRM, NOW),
        ("ä" * 51, LinkKind.CONFIRM, NOW),
        (token + "A", LinkKind.CONFIRM, NOW),
    ]:
        with pytest.raises(AppError) as refused:
            links.open(wrong, kind, now)
        assert refused.value.kind is Kind.NOT_FOUND
    with pytest.raises(AppError) as late:
        links.open(token, LinkKind.CONFIRM, until)
    assert late.value.reason == "link_expired"


def test_a_link_works_as_long_as_its_key_is_kept():
    old = Links([b"k" * 32], "https://x").token(LinkKind.UNSUBSCRIBE, ADDRESS, None)
    far = NOW + timedelta(days=20_000)
    kept = Links([b"n" * 32, b"k" * 32], "https://x")
    assert kept.open(old, LinkKind.UNSUBSCRIBE, far) == ADDRESS
    with pytest.raises(AppError):
        Links([b"n" * 32], "https://x").open(old, LinkKind.UNSUBSCRIBE, far)


def test_references_are_found_wherever_they_stand():
    reference = reference_of(MESSAGE, ADDRESS)
    assert read_reference(f"Message-ID: <{reference}@pq.example.com>") == (MESSAGE, ADDRESS)
    for other in ("", "msg_1.eml_2", reference[:-1], reference.replace("eml_", "ep_")):
        assert read_reference(other) is None


@pytest.mark.parametrize(
    ("text", "email", "role", "disposable"),
    [
        ("Ann.B+x@EXAMPLE.org", "Ann.B+x@example.org", False, False),
        ("Postmaster@example.com", "postmaster@example.com", True, False),
        ("info+cards@example.com", "info+cards@example.com", True, False),
        ("a@mailinator.com", "a@mailinator.com", False, True),
        ("ann@bücher.de", "ann@bücher.de", False, False),
    ],
)
def test_addresses_are_read_and_flagged(text, email, role, disposable):
    box = check_email(text, "f")
    assert (box.email, box.role_account, box.disposable) == (email, role, disposable)
    assert box.key == email.casefold()


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a@", "@b.de", "a@b", "a b@c.de", "a@b.de\r\nBcc: c@d.de", "a@b.de,c@d.de"),
        *("x" * 400, "Ann <ann@example.com>", "a@127.0.0.1", "a@[127.0.0.1]", "ü@web.de"),
    ],
)
def test_what_is_no_address_is_refused_by_name(text):
    with pytest.raises(AppError) as refused:
        check_email(text, "email_address.email")
    assert refused.value.violations[0].field == "email_address.email"


def test_a_domain_below_a_disposable_one_is_one():
    assert is_disposable("x.y.mailinator.com")
    assert not is_disposable("mailinator.com.example.org")


def test_an_alert_calls_the_card_by_its_name_where_that_is_known():
    money = {"currencyCode": "USD", "amount": "12.50"}
    alert = {"card": "cards/a-1-holofoil", "price": money, "day": "2026-11-22", "reason": "it rose"}
    alert |= {"fireTime": "2026-11-22T18:02:11Z"}
    urls = Urls("https://pq.example.com", unsubscribe="https://pq.example.com/u")
    for name, shown in (("Charizard ex", "Charizard ex"), (None, "a-1-holofoil")):
        data = orjson.dumps({"data": alert | {"cardName": name}})
        made = Renderer().render("alert.triggered", data, "ann@example.com", urls)
        assert shown in made.subject
        assert "https://pq.example.com/v1/cards/a-1-holofoil" in made.text
