"""Whole bounces of families of servers, in words and in fields, in several languages."""

from __future__ import annotations

import pytest

from services.delivery.domain.bounces import parse

RETURNED = "\nMessage-ID: <x@our.test>\nTo: other@shop.test\nSubject: hi\n\nvirus spam full\n"
# What the body says after the headers, and (recipient, status, reply, reason) of each row.
WORDS = {
    "Postfix, two and an alias": (
        (
            "This is the mail system at host gw.test.\n\n"
            "<a@shop.test>: host mx.shop.test[192.0.2.1] said: 550 5.2.1 The email account\n"
            "    that you tried to reach is disabled. (in reply to RCPT TO command)\n\n"
            "<b@shop.test> (expanded from <c@our.test>): host mx.shop.test[192.0.2.1] said: 554\n"
            "    5.7.1 Spam message rejected (in reply to end of DATA command)\n"
        ),
        [
            ("a@shop.test", "5.2.1", "550", "suspend"),
            ("b@shop.test", "5.7.1", "554", "spamdetected"),
        ],
    ),
    "MDaemon": (
        (
            "The attached message had PERMANENT fatal delivery errors!\n\n"
            "Failed address: a@shop.test\n\n--- Session Transcript ---\n"
            " --> RCPT To:<a@shop.test>\n"
            " <-- 550 5.1.1 <a@shop.test>: Recipient address rejected: User unknown\n --> QUIT\n"
        ),
        [("a@shop.test", "5.1.1", "550", "userunknown")],
    ),
    "hMailServer": (
        (
            "The following recipient(s) could not be reached:\n\na@shop.test\n   Error Type: SMTP\n"
            "   hMailServer sent: RCPT TO:<a@shop.test>\n"
            "   Remote server replied: 552 5.2.2 Over quota\n"
        ),
        [("a@shop.test", "5.2.2", "552", "mailboxfull")],
    ),
    "James": (
        (
            "Hi. This is the James mail server at gw.\n\nFailed recipient(s):\na@shop.test\n\n"
            "Error message:\n550 5.1.1 unknown or illegal alias: a@shop.test\n\n---\n"
        ),
        [("a@shop.test", "5.1.1", "550", "userunknown")],
    ),
    "GroupWise": (
        (
            "The message that you sent was undeliverable to the following:\n"
            "\ta (mailbox is full)\n\n"
            "Possibly truncated original message follows:\n\nTo: a@shop.test\n"
        ),
        [("a@shop.test", "5.0.922", "", "mailboxfull")],
    ),
    "iPlanet": (
        (
            "Your message cannot be delivered to the following recipients:\n\n"
            "  Recipient address: a@shop.test\n  Reason: Remote SMTP server has rejected address\n"
            "  Diagnostic code: smtp;550 5.1.1 <a@shop.test>... User Unknown\n"
        ),
        [("a@shop.test", "5.1.1", "550", "userunknown")],
    ),
    "Exim waits": (
        (
            "A message that you have sent has not yet been delivered to one or more of its\n"
            "recipients after more than 24 hours on the queue on gw.test.\n\n"
            "  a@shop.test\n    Delay reason: mailbox is full\n"
        ),
        [("a@shop.test", "4.0.922", "", "mailboxfull")],
    ),
    "a Japanese mobile network": (
        (
            "The user(s) account is temporarily limited.\n\n"
            "<a@ezweb.ne.jp>: 550 user unknown (in reply to RCPT TO command)\n"
        ),
        [("a@ezweb.ne.jp", "5.0.921", "550", "suspend")],
    ),
    "Japanese": (
        (
            "以下のメールアドレスに送信できませんでした。\n\n<a@shop.test>\n"
            "    宛先のメールボックスがいっぱいです。\n"
        ),
        [("a@shop.test", "5.0.922", "", "mailboxfull")],
    ),
    "French": (
        (
            "Votre message n'a pas pu être remis à :\n\na@shop.test\n\n"
            "La boîte aux lettres du destinataire est pleine\n"
        ),
        [("a@shop.test", "5.0.922", "", "mailboxfull")],
    ),
    "Spanish": (
        (
            "Su mensaje no se pudo entregar a los siguientes destinatarios:\n\n<a@shop.test>:\n"
            "El usuario no existe\n"
        ),
        [("a@shop.test", "5.0.911", "", "userunknown")],
    ),
    "German": (
        (
            "Ihre Nachricht an\n\na@shop.test\n\nwurde nicht zugestellt, weil\n\n"
            "das Konto des Empfängers gesperrt ist\n"
        ),
        [("a@shop.test", "5.0.921", "", "suspend")],
    ),
    "Portuguese": (
        "Sua mensagem não foi entregue\n\n<a@shop.test>:\nEndereço de e-mail não existe\n",
        [("a@shop.test", "5.0.911", "", "userunknown")],
    ),
    "Chinese": (
        "您的邮件被退回\n\n收件人\uff1a<a@shop.test>\n\n退信原因\uff1a\n收件人邮箱已满\n",
        [("a@shop.test", "5.0.922", "", "mailboxfull")],
    ),
    "Russian": (
        "Ваше письмо не может быть доставлено:\n\na@shop.test\n   Почтовый ящик переполнен\n",
        [("a@shop.test", "5.0.922", "", "mailboxfull")],
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_families(name: str) -> None:
    words, expected = WORDS[name]
    head = (
        "From: MAILER-DAEMON@gw.test\nTo: me@our.test\nSubject: Returned mail\n"
        "Content-Type: text/plain; charset=utf-8\n\n"
    )
    end = "" if name == "GroupWise" else "\n----- Original message -----\n" + RETURNED
    found = parse((head + words + end).encode())
    assert [(b.recipient, b.status, b.reply, b.reason.value) for b in found] == expected


@pytest.mark.parametrize(
    "subject",
    [
        "Unzustellbar: hi", "Nachricht konnte nicht zugestellt werden", "Message non remis",
        "No se puede entregar: hi", "系统退信", "メールを送信できませんでした",
        "Сообщение не может быть доставлено", "Message could not be sent",
    ],
)  # fmt: skip
def test_a_person_s_address_that_reports_a_failure_is_heard(subject: str) -> None:
    raw = f"From: Mail <x@gw.test>\nTo: me@our.test\nSubject: {subject}\n\n<a@shop.test>:\n552 full"
    assert [bounce.recipient for bounce in parse(raw.encode())] == ["a@shop.test"]


@pytest.mark.parametrize(
    "subject",
    ["Abwesenheitsnotiz: hi", "Absence du bureau : hi", "Fuera de la oficina", "自动回复: hi"],
)
def test_who_is_away_says_so_in_many_languages(subject: str) -> None:
    raw = f"From: b@shop.test\nTo: me@our.test\nSubject: {subject}\n\nAway.\n"
    assert [bounce.reason.value for bounce in parse(raw.encode())] == ["vacation"]


def test_the_category_of_a_report_decides_where_words_leave_it_open() -> None:
    raw = (
        "From: MAILER-DAEMON@gw.test\nTo: me@our.test\nSubject: Failed\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=bb\n\n"
        "--bb\nContent-Type: message/delivery-status\n\nReporting-MTA: dns;gw.test\n\n"
        "Final-Recipient: rfc822;a@shop.test\nAction: failed\nStatus: 5.0.0 (undefined status)\n"
        "Diagnostic-Code: smtp;550 xyzzy\nX-PowerMTA-BounceCategory: inactive-mailbox\n\n--bb--\n"
    )
    assert [bounce.reason.value for bounce in parse(raw.encode())] == ["suspend"]
