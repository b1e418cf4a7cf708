"""Whatever comes in as a bounce: nothing is raised, and nothing grows without bound."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.delivery.domain.bounces import parse
from services.delivery.domain.bounces.classify import Diagnostic, reason_of
from services.delivery.domain.bounces.reasons import Reason, is_hard, own_status
from services.delivery.domain.email_codes import CODES, of_provider, of_reply

SEED = (
    b"From: Mail Delivery System <MAILER-DAEMON@relay.test>\r\nTo: bounces@our.test\r\n"
    b"Subject: =?utf-8?B?Q291bGQgbm90?= deliver\r\nX-Failed-Recipients: a@shop.test\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="bb"\r\n\r\n'
    b"--bb\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
    b"quoted-printable\r\n\r\n<style>p {}</style><p>&lt;a@shop.test&gt;: host mx said: 550-5.1.1"
    b" user=20unknown (in reply to RCPT TO command)</p>\r\n"
    b"--bb\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.test\r\n\r\n"
    b"Final-Recipient: utf-8; j\\x{F6}@shop.test\r\nOriginal-Recipient: rfc822;a+2Bb@shop.test\r\n"
    b"Action: failed\r\nStatus: 5.1.1 (bad)\r\nDiagnostic-Code: smtp; 550 5.1.1 no\r\n"
    b"--bb\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"
    b"--bb\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <m@our.test>\r\n\r\nHi\r\n--bb--\r\n"
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A report with bytes changed, cut out, doubled or put in."""
    data = bytearray(SEED)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 200)))
        match draw(st.sampled_from(["change", "cut", "double", "insert"])):
            case "change":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "cut":
                del data[at:end]
            case "double":
                data[at:at] = data[at:end]
            case "insert":
                data[at:at] = draw(st.binary(max_size=40))
    return bytes(data)


@given(mutated() | st.binary(max_size=2000))
@settings(max_examples=300, deadline=None)
def test_nothing_is_raised_and_rows_are_whole(raw: bytes) -> None:
    for row in parse(raw):
        assert len(row.diagnostic) <= 500
        assert row.hard == is_hard(row.reason, row.status)
        assert row.status == "" or row.status[0] in "45"
        assert len(row.recipient) <= 320
        row.recipient.encode()
    assert parse(raw) == parse(raw)


@given(st.text(max_size=300), st.sampled_from(["", "5.1.1", "4.7.0", "5.7.509", "x.y", "5.1.x"]))
@settings(max_examples=200, deadline=None)
def test_every_saying_has_a_reason_and_every_reason_a_code(text: str, status: str) -> None:
    reason = reason_of(Diagnostic(text, status))
    assert isinstance(reason, Reason)
    assert own_status(reason, temporary=True)[:1] in ("", "4", "5")
    for reply in (0, 421, 550):
        assert of_reply(reply, status, text).code is not None


@given(
    st.sampled_from(["resend", "ses", "sendgrid", "postmark", ""]), st.integers(0, 999), st.binary()
)
@settings(max_examples=200, deadline=None)
def test_every_answer_has_a_code(provider: str, status: int, body: bytes) -> None:
    found = of_provider(provider, status, body)
    assert CODES[found.code.name] is found.code


BROKEN = [
    b"From: MAILER-DAEMON@x.test\nSubject: =?utf-8?B?x?=\n\n<a@b.test>: no",
    b"From: a@x.test\nSubject: =?utf-8?q?=ZZ?= =?nowhere?B?eA==?=\n\nhi",
    b"From: MAILER-DAEMON@x.test\nContent-Type: text/plain; charset=nowhere\n\n<a@b.test>: \xff",
    b"From: MAILER-DAEMON@x.test\nContent-Transfer-Encoding: base64\n\nA\n",
    b"From: a@x.test\nSubject: =?unicode_escape?q?=5Cd?=\n\nhi",
    b"From: MAILER-DAEMON@x.test\nContent-Type: message/rfc822; charset=utf-7\n\n+2AA-",
    b"From: MAILER-DAEMON@x.test\nContent-Type: text/plain; charset=punycode\n\n"
    + b"a" * 60_000
    + b"-"
    + b"z9" * 30_000,
    b"From: MAILER-DAEMON@x.test\nContent-Type: text/plain; charset=idna\n\n<a@b.test>: \xff..",
]


@pytest.mark.parametrize("raw", BROKEN, ids=range(len(BROKEN)))
def test_encodings_that_are_none(raw: bytes) -> None:
    assert len(parse(raw)) <= 1


HOSTILE = [
    b"Subject: x\n" * 20_000,
    b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n" * 50_000,
    b"Content-Type: multipart/mixed; boundary=a\n\n" + (b"--a\nContent-Type: multipart/mixed;"
    b" boundary=a\n\n") * 5_000,
    b"From: MAILER-DAEMON@x.test\n\n" + b"a" * 400_000 + b"@",
    b"From: MAILER-DAEMON@x.test\n\n" + b"<a@b.test> " * 40_000,
    b"From: MAILER-DAEMON@x.test\n\n" + b"5.1.1.1.1" * 40_000,
    b"From: MAILER-DAEMON@x.test\n\n<a@b.test>:\n" + b"recipient " * 40_000,
    b"From: MAILER-DAEMON@x.test\nContent-Type: text/html\n\n" + b"<style <script " * 30_000,
    b"From: MAILER-DAEMON@x.test\n\n" + b">" * 300_000,
    b"From: MAILER-DAEMON@x.test\n\n" + b"=?" * 100_000,
    b"From: MAILER-DAEMON@x.test\nSubject: " + b"=?utf-8?q?" * 30_000 + b"\n\nx",
    b"From: MAILER-DAEMON@x.test\n\n" + b"\n" * 400_000,
    b"From: MAILER-DAEMON@x.test\n\n" + b"{" + b'"bounce":{' * 40_000,
    b'From: MAILER-DAEMON@x.test\n\n{"bounce":' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_mails_cost_no_more_than_their_size(raw: bytes) -> None:
    """They take 20 ms at most. What is quadratic in 400 kB takes minutes."""
    began = time.process_time()
    parse(raw)
    assert time.process_time() - began < 10
