"""Reports without fields, in the forms that mail servers and gateways give them."""

from __future__ import annotations

import pytest

from services.delivery.domain.bounces import parse

RETURNED = "\nMessage-ID: <x@our.test>\nTo: other@shop.test\nSubject: hi\n\nvirus spam full\n"
FORMS = {
    "gmx": (
        (
            'The following address(es) failed:\n\n"a@shop.test":\n'
            "SMTP error from remote server after RCPT command:\nhost: mx.shop.test\n"
            "5.1.1 <a@shop.test>... User Unknown\n\n"
            "--- The header of the original message is following. ---\n"
        ),
        [("a@shop.test", "5.1.1", "", "userunknown")],
    ),
    "1&1": (
        (
            "The following address failed:\n\na@shop.test\n\nFor the following reason:\n\n"
            "Mail size limit exceeded.\n\n"
            "--- The header of the original message is following. ---\n"
        ),
        [("a@shop.test", "5.0.934", "", "mesgtoobig")],
    ),
    "MailMarshal": (
        (
            "Could not be delivered because of\n\n550 5.1.1 User unknown\n\n"
            "The following recipients were affected:\n    a@shop.test\n"
        ),
        [("a@shop.test", "5.1.1", "550", "userunknown")],
    ),
    "Notes": (
        (
            "------- Failure Reasons  --------\n\nUser not listed in public Name & Address Book\n"
            "a@shop.test\n\n------- Returned Message --------\n"
        ),
        [("a@shop.test", "5.0.911", "", "userunknown")],
    ),
    "SurfControl": (
        (
            "Addressed To: a@shop.test\n\nFailed to send to identified host,\n"
            "a@shop.test: [192.0.2.5], 550 a@shop.test... No such user\n"
        ),
        [("a@shop.test", "5.0.910", "550", "filtered")],
    ),
    "InterScan": (
        "Sent <<< RCPT TO:<a@shop.test>\nReceived >>> 550 5.1.1 <a@shop.test>... user unknown\n",
        [("a@shop.test", "5.1.1", "550", "userunknown")],
    ),
    "Google at RCPT": (
        (
            "Delivery to the following recipient failed permanently:\n\n     a@shop.test\n\n"
            "The error that the other server returned was:\n550 550 Unknown user (state 14).\n\n"
            "----- Original message -----\n"
        ),
        [("a@shop.test", "5.0.911", "550", "userunknown")],
    ),
    "Google at DATA": (
        (
            "Delivery to the following recipient failed permanently:\n\n     a@shop.test\n\n"
            "The error that the other server returned was:\n550 550 Unknown user (state 18).\n\n"
            "----- Original message -----\n"
        ),
        [("a@shop.test", "5.0.910", "550", "filtered")],
    ),
    "qmail": (
        (
            "<a@shop.test>:\nSorry, I couldn't find any host named shop.test. (#5.1.2)\n\n"
            "<b@shop.test>:\nConnected to 192.0.2.1 but connection died. (#4.4.2)\n\n"
            "--- Below this line is a copy of the message.\n"
        ),
        [
            ("a@shop.test", "5.1.2", "", "hostunknown"),
            ("b@shop.test", "4.4.2", "", "networkerror"),
        ],
    ),
    "Exim's own": (
        (
            "The following address(es) failed:\n\n  a@shop.test\n"
            "    all relevant MX records point to non-existent hosts\n"
            "  b@shop.test\n    retry timeout exceeded\n\n"
            "------ This is a copy of the message, including all the headers. ------\n"
        ),
        [
            ("a@shop.test", "5.0.912", "", "hostunknown"),
            ("b@shop.test", "4.0.947", "", "expired"),
        ],
    ),
    "OpenSMTPD": (
        (
            "    Hi!\n\n    This is the MAILER-DAEMON\n\n"
            "a@shop.test: Destination seem to reject all mails\n"
            "b@shop.test: 550 5.2.2 mailbox full\n\n"
            "    Below is a copy of the original message:\n"
        ),
        [
            ("a@shop.test", "5.0.932", "", "notaccept"),
            ("b@shop.test", "5.2.2", "550", "mailboxfull"),
        ],
    ),
    "old sendmail": (
        (
            "   ----- Transcript of session follows -----\n"
            "While talking to mx.shop.test:\n>>> RCPT To:<a@shop.test>\n"
            "<<< 552 mailbox full\n552 <a@shop.test>... mailbox full\n"
            "554 <b@other.test>... 550 Host unknown (name server)\n\n"
            "   ----- Unsent message follows -----\n"
        ),
        [
            ("a@shop.test", "5.0.922", "552", "mailboxfull"),
            ("b@other.test", "5.0.912", "550", "hostunknown"),
        ],
    ),
    "forwarded": (
        (
            "> <a@shop.test>:\n> Remote host said: 550 5.2.2 over quota\n>\n"
            "> --- Below this line is a copy of the message.\n"
        ),
        [("a@shop.test", "5.2.2", "550", "mailboxfull")],
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str) -> None:
    words, expected = FORMS[name]
    head = "From: MAILER-DAEMON@gw.test\nTo: me@our.test\nSubject: Returned mail\n\nSorry.\n\n"
    found = parse((head + words + RETURNED).encode())
    assert [(b.recipient, b.status, b.reply, b.reason.value) for b in found] == expected
