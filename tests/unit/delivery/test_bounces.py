"""Bounces of many kinds of servers are read into rows: who, why, and whether for good."""

from __future__ import annotations

import pytest

from services.delivery.domain.bounces import Bounce, Reason, parse


def mail(headers: str, body: str) -> bytes:
    return (headers.strip() + "\n\n" + body.lstrip("\n")).encode()


def dsn(
    words: str, fields: str, returned: str = "Message-ID: <m1@our.test>\nTo: x@shop.test\n"
) -> bytes:
    """A multipart/report with its three parts."""
    head = (
        "From: Mail Delivery System <MAILER-DAEMON@relay.test>\nTo: bounces@our.test\n"
        "Subject: Could not deliver\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="bb"'
    )
    body = (
        f"--bb\nContent-Type: text/plain\n\n{words}\n"
        f"--bb\nContent-Type: message/delivery-status\n\n{fields}\n"
        f"--bb\nContent-Type: message/rfc822\n\n{returned}\n--bb--\n"
    )
    return mail(head, body)


def only(raw: bytes) -> Bounce:
    rows = parse(raw)
    assert len(rows) == 1, rows
    return rows[0]


def test_a_report_names_each_recipient_and_the_mail_that_came_back() -> None:
    rows = parse(
        dsn(
            "Sorry.",
            "Reporting-MTA: dns; Relay.Test\n\n"
            "Final-Recipient: rfc822; gone@shop.test\nAction: failed\nStatus: 5.1.1\n"
            "Remote-MTA: dns; mx.shop.test (192.0.2.1)\n"
            "Diagnostic-Code: smtp; 550 5.1.1 <gone@shop.test>:\n user unknown\n\n"
            "Final-Recipient: rfc822; here@shop.test\nAction: delivered\nStatus: 2.0.0\n\n"
            "Final-Recipient: rfc822; full@shop.test\nAction: delayed\nStatus: 4.2.2\n"
            "Diagnostic-Code: smtp; 452 4.2.2 the mailbox is full\n",
            "Message-ID: <m1@our.test>\nFeedback-ID: alert:pq\nTo: gone@shop.test\n",
        )
    )
    assert [row.recipient for row in rows] == ["gone@shop.test", "full@shop.test"]
    gone, full = rows
    assert (gone.status, gone.reply, gone.reason, gone.hard) == (
        "5.1.1", "550", Reason.USERUNKNOWN, True,
    )  # fmt: skip
    assert gone.diagnostic == "550 5.1.1 <gone@shop.test>: user unknown"
    assert (gone.reporting, gone.remote) == ("relay.test", "mx.shop.test")
    assert (gone.message_id, gone.feedback_id) == ("m1@our.test", "alert:pq")
    assert (full.status, full.reply, full.reason, full.hard, full.action) == (
        "4.2.2", "452", Reason.MAILBOXFULL, False, "delayed",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "recipient"),
    [
        ("Final-Recipient: RFC822;<a@shop.test>", "a@shop.test"),
        ("Final-Recipient: a@shop.test", "a@shop.test"),
        ("Original-Recipient: rfc822;a+2Bb@shop.test", "a+b@shop.test"),
        ("Final-Recipient: rfc822; a+20@shop.test", "a+20@shop.test"),
        ("Final-Recipient: utf-8; j\\x{F6}rg@shop.test", "jörg@shop.test"),
        ("Final-Recipient: utf-8; jörg@shop.test", "jörg@shop.test"),
        ("Final-Recipient: X400; whatever\nX-Actual-Recipient: rfc822; a@shop.test", "a@shop.test"),
    ],
)
def test_recipients_as_the_standards_write_them(field: str, recipient: str) -> None:
    assert only(dsn("", f"{field}\nAction: failed\nStatus: 5.1.1\n")).recipient == recipient


def test_the_words_tell_more_than_a_vague_status() -> None:
    row = only(
        dsn(
            "<a@shop.test>: host mx.shop.test said: 550 5.2.2 over quota"
            " (in reply to end of DATA command)",
            "Final-Recipient: rfc822; a@shop.test\nAction: failed\nStatus: 5.0.0\n"
            "Diagnostic-Code: smtp; 550 5.2.2 over quota\n",
        )
    )
    assert (row.status, row.reason, row.command) == ("5.2.2", Reason.MAILBOXFULL, "DATA")


def test_without_a_status_one_stands_for_the_reason() -> None:
    row = only(
        mail(
            "From: MAILER-DAEMON@relay.test\nSubject: failure notice\nTo: me@our.test",
            "Hello, the mail program at relay.test here.\n\n<a@shop.test>:\n"
            "the recipient name is not recognized\n\n"
            "--- Below this line is a copy of the message.\n\n"
            "Message-ID: <m2@our.test>\nTo: a@shop.test\n\nspam spam virus\n",
        )
    )
    assert (row.status, row.reply, row.reason) == ("5.0.911", "", Reason.USERUNKNOWN)
    assert row.message_id == "m2@our.test"
    assert "virus" not in row.diagnostic


QMAIL = (
    "<a@shop.test>:\n192.0.2.1 does not like recipient.\nRemote host said: 553 no such user here\n"
)
EXIM = (
    "  a@shop.test\n    SMTP error from remote mail server after RCPT TO:<a@shop.test>:\n"
    "    host mx.shop.test [192.0.2.1]: 553 no such user here\n"
)
SENDMAIL = (
    "   ----- Transcript of session follows -----\n... while talking to mx.shop.test.:\n"
    ">>> RCPT To:<a@shop.test>\n<<< 553 no such user here\n553 <a@shop.test>... no such user\n"
)
DRAGONFLY = (
    "There was an error delivering your mail to <a@shop.test>.\n\n"
    "mx.shop.test [192.0.2.1] did not like our RCPT TO:\n553 no such user here\n"
)
YAHOO = "<a@shop.test>:\nRemote host said: 553 no such user here [RCPT_TO]\n"


@pytest.mark.parametrize("words", [QMAIL, EXIM, SENDMAIL, DRAGONFLY, YAHOO])
def test_free_forms(words: str) -> None:
    row = only(
        mail(
            "From: MAILER-DAEMON@relay.test\nSubject: Returned mail\nTo: me@our.test",
            f"Something went wrong.\n\n{words}\n\n----- Original message -----\n\n"
            "Message-ID: <m3@our.test>\nTo: other@shop.test\n\nHello\n",
        )
    )
    assert (row.recipient, row.reply, row.command) == ("a@shop.test", "553", "RCPT")
    assert (row.reason, row.hard, row.status) == (Reason.USERUNKNOWN, True, "5.0.911")


def test_failed_recipients_of_the_header_each_get_their_own_words() -> None:
    rows = parse(
        mail(
            "From: MAILER-DAEMON@relay.test\nTo: me@our.test\n"
            "X-Failed-Recipients: a@shop.test, b@shop.test",
            "These failed:\n\n  a@shop.test\n    550 5.1.1 user unknown after"
            " RCPT TO:<a@shop.test>\n"
            "  b@shop.test\n    552 5.2.2 mailbox full\n",
        )
    )
    assert [(row.recipient, row.reason.value, row.status) for row in rows] == [
        ("a@shop.test", "userunknown", "5.1.1"),
        ("b@shop.test", "mailboxfull", "5.2.2"),
    ]


def test_complaints() -> None:
    head = (
        "From: fbl@isp.test\nSubject: abuse\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=bb"
    )
    body = (
        "--bb\nContent-Type: text/plain\n\nsomebody pressed the button\n"
        "--bb\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
        "User-Agent: Isp/1\nVersion: 1\nOriginal-Rcpt-To: <a@isp.test>\n"
        "--bb\nContent-Type: message/rfc822\n\nMessage-ID: <m4@our.test>\n\n--bb--\n"
    )
    row = only(mail(head, body))
    assert (row.recipient, row.reason, row.status, row.hard) == (
        "a@isp.test", Reason.FEEDBACK, "", False,
    )  # fmt: skip
    assert (row.diagnostic, row.message_id) == ("abuse", "m4@our.test")


def test_a_complaint_whose_recipient_is_only_in_the_returned_mail() -> None:
    row = only(
        mail(
            "From: staff@isp.test\nSubject: complaint about message from 192.0.2.1\n"
            "Content-Type: multipart/mixed; boundary=bb",
            "--bb\nContent-Type: message/rfc822\n\nTo: list@our.test\n"
            "X-HmXmrOriginalRecipient: a@isp.test\nMessage-ID: <m5@our.test>\n\nHi\n--bb--\n",
        )
    )
    assert (row.recipient, row.reason) == ("a@isp.test", Reason.FEEDBACK)


def test_automatic_replies_are_no_failures() -> None:
    row = only(
        mail(
            "From: A <a@shop.test>\nTo: me@our.test\nAuto-Submitted: auto-replied\n"
            "Subject: Away\nIn-Reply-To: <m6@our.test>",
            "I am on a mountain until Monday; my mailbox is full of snow.",
        )
    )
    assert (row.reason, row.recipient, row.hard) == (Reason.VACATION, "a@shop.test", False)
    assert row.message_id == "m6@our.test"


def test_a_notification_of_amazon() -> None:
    row = only(
        mail(
            "From: AWS <no-reply@sns.test>\nSubject: Notification\nContent-Type: text/plain",
            '{"notificationType":"Bounce","bounce":{"reportingMTA":"dsn; a.test",'
            '"bouncedRecipients":[{"emailAddress":"a@shop.test","status":"5.1.1","action":"failed",'
            '"diagnosticCode":"smtp; 550 5.1.1 user unknown"}]}}\n\n--\nsome footer',
        )
    )
    assert (row.recipient, row.status, row.reply, row.reason, row.reporting) == (
        "a@shop.test", "5.1.1", "550", Reason.USERUNKNOWN, "a.test",
    )  # fmt: skip


def test_a_forwarded_report_is_read_too() -> None:
    inner = dsn("", "Final-Recipient: rfc822; a@shop.test\nAction: failed\nStatus: 5.1.1\n")
    raw = mail(
        "From: me@our.test\nSubject: look at this\nContent-Type: multipart/mixed; boundary=oo",
        f"--oo\nContent-Type: text/plain\n\nsee below\n"
        f"--oo\nContent-Type: message/rfc822\n\n{inner.decode()}\n--oo--\n",
    )
    assert only(raw).recipient == "a@shop.test"


def test_a_boundary_that_was_lost_on_the_way_is_guessed() -> None:
    raw = dsn("", "Final-Recipient: rfc822; a@shop.test\nAction: failed\nStatus: 5.1.1\n")
    assert only(raw.replace(b'; boundary="bb"', b"")).status == "5.1.1"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_encoded_words_are_decoded(encoding: str) -> None:
    said = {
        "base64": "PGFAc2hvcC50ZXN0PjoKNTUwIDUuMi4yIG1haWxib3ggZnVsbAo=",
        "quoted-printable": "<a@shop.test>:=0A550 5.2.2 mail=\nbox full",
    }[encoding]
    head = f"From: MAILER-DAEMON@x.test\nTo: me@our.test\nContent-Transfer-Encoding: {encoding}"
    row = only(mail(head, said))
    assert (row.recipient, row.reason) == ("a@shop.test", Reason.MAILBOXFULL)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n\n",
        b"From: a@shop.test\nSubject: Hi\n\nLunch? Ask b@shop.test.\n",
        b"From: a@shop.test\nSubject: your invoice\nTo: me@our.test\n\nIs 550 dollars right?\n",
    ],
)
def test_other_mail_is_no_bounce(raw: bytes) -> None:
    assert parse(raw) == []


def test_size_is_bounded() -> None:
    rows = parse(
        dsn(
            "x" * 3_000_000,
            "\n\n".join(
                f"Final-Recipient: rfc822; r{n}@shop.test\nAction: failed\nStatus: 5.1.1"
                for n in range(1000)
            ),
        )
    )
    assert rows == [], "the fields lie beyond what is read, and the daemon is nobody's recipient"
    many = parse(
        dsn(
            "",
            "\n\n".join(
                f"Final-Recipient: rfc822; r{n}@shop.test\nAction: failed\nStatus: 5.1.1\n"
                f"Diagnostic-Code: smtp; 550 {'y' * 900}"
                for n in range(1000)
            ),
        )
    )
    assert len(many) <= 100
    assert max(len(row.diagnostic) for row in many) <= 500
