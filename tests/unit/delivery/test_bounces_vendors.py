"""What large receivers and common mail servers say, and the reason that it stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.delivery.domain.bounces.classify import Diagnostic, reason_of

# text, status, reply, command, reason
SAYINGS = [
    # Google
    ("The email account that you tried to reach does not exist", "5.1.1", "550", "RCPT",
     "userunknown"),
    ("The email account that you tried to reach is over quota", "5.2.2", "552", "RCPT",
     "mailboxfull"),
    ("The recipient's inbox is out of storage space", "4.2.2", "452", "RCPT", "mailboxfull"),
    (("The user you are trying to contact is receiving mail at a rate that prevents additional"
     " messages from being delivered"), "4.2.1", "450", "RCPT", "speeding"),
    ("The email account that you tried to reach is disabled", "5.2.1", "550", "RCPT", "suspend"),
    (("This message does not have authentication information or fails to pass authentication"
     " checks (SPF or DKIM)"), "5.7.26", "550", "DATA", "authfailure"),
    ("The IP address sending this message does not have a PTR record setup", "5.7.25", "550",
     "DATA", "requireptr"),
    ("Our system has detected that this message is likely unsolicited mail", "5.7.1", "550",
     "DATA", "spamdetected"),
    (("Our system has detected an unusual rate of unsolicited mail originating from your IP"
     " address"), "4.7.28", "421", "DATA", "speeding"),
    ("This message is not RFC 5322 compliant, the message is missing a valid Message-ID",
     "5.7.1", "550", "DATA", "notcompliantrfc"),
    (("Our system has detected that this message is suspicious due to the very low reputation of"
     " the sending domain"), "4.7.0", "421", "DATA", "badreputation"),
    ("Your message exceeded Google's message size limits", "5.3.4", "552", "DATA", "mesgtoobig"),
    ("Daily user sending limit exceeded", "5.4.5", "550", "DATA", "speeding"),
    ("Mail relay denied", "5.7.1", "550", "RCPT", "norelaying"),
    ("The account you tried to reach is inactive", "5.2.1", "550", "RCPT", "suspend"),
    # Microsoft
    ("Recipient not found by SMTP address lookup", "5.1.10", "550", "RCPT", "userunknown"),
    ("RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "5.1.10",
     "550", "", "userunknown"),
    ("Recipient address rejected: Access denied. AS(201806281)", "5.4.1", "550", "RCPT",
     "userunknown"),
    ("Requested action not taken: mailbox unavailable (S2017062302)", "5.5.0", "550", "RCPT",
     "userunknown"),
    ("Access denied, sending domain shop.test does not pass DMARC verification", "5.7.509", "550",
     "DATA", "authfailure"),
    ("Access denied, banned sending IP [192.0.2.9]", "5.7.606", "550", "RCPT", "blocked"),
    ("Service unavailable, Client host [192.0.2.9] blocked using Spamhaus", "5.7.1", "550",
     "RCPT", "blocked"),
    (("Messages from [192.0.2.9] weren't sent. Please contact your Internet service provider since"
     " part of their network is on our block list (S3140)"), "5.7.1", "550", "MAIL", "blocked"),
    ("Access denied, traffic not accepted from this IP", "5.7.511", "550", "RCPT", "blocked"),
    ("STOREDRV.Deliver; mailbox full", "5.2.2", "554", "", "mailboxfull"),
    ("Mailbox disabled for this recipient, STOREDRV.Deliver", "5.2.1", "550", "", "suspend"),
    ("RESOLVER.RST.AuthRequired; authentication required", "5.7.1", "550", "", "securityerror"),
    ("RESOLVER.RST.RecipSizeLimit; message too large for this recipient", "5.2.3", "550", "",
     "exceedlimit"),
    ("Server busy. Please try again later from [192.0.2.9]. (S77719)", "4.7.650", "451", "MAIL",
     "toomanyconn"),
    ("Hop count exceeded - possible mail loop", "5.4.14", "554", "DATA", "networkerror"),
    ("Client was not authenticated to send anonymous mail during MAIL FROM", "5.7.57", "530",
     "MAIL", "securityerror"),
    ("DNS domain shop.test does not exist", "5.4.310", "550", "", "hostunknown"),
    ("Message expired, cannot connect to remote server", "4.4.316", "450", "", "expired"),
    # Yahoo, AOL
    (("[TSS04] Messages from 192.0.2.9 temporarily deferred due to unexpected volume or user"
     " complaints"), "4.7.0", "421", "", "badreputation"),
    ("[GL01] Message from (192.0.2.9) temporarily deferred", "4.7.1", "451", "", "blocked"),
    ("Message not accepted for policy reasons", "5.7.9", "554", "DATA", "policyviolation"),
    ("delivery error: dd This user doesn't have a yahoo.com account (a@yahoo.com) [0]", "5.0.0",
     "554", "", "userunknown"),
    ("[DYNT:1] The IP you're using to send mail is not authorized", "5.7.1", "521", "", "blocked"),
    # Apple
    ("<a@icloud.com>: user does not exist", "5.1.1", "550", "RCPT", "userunknown"),
    ("[HM08] Message rejected due to local policy", "5.7.1", "550", "DATA", "policyviolation"),
    ("Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.9", "5.7.0", "550",
     "", "blocked"),
    ("<a@me.com>: user is over quota", "5.2.2", "552", "RCPT", "mailboxfull"),
    # Proofpoint, Mimecast, Barracuda, Cisco, Symantec, Trend Micro
    ("Your message was rejected by the Proofpoint protection server: spam message", "5.7.1", "554",
     "DATA", "spamdetected"),
    ("Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550", "5.1.1", "550",
     "RCPT", "userunknown"),
    ("Open relay not allowed", "5.7.1", "554", "RCPT", "norelaying"),
    ("Rejected by header based manually Blocked Senders: a@shop.test", "5.0.0", "550", "DATA",
     "rejected"),
    ("permanent failure for one or more recipients (a@shop.test:blocked)", "5.0.0", "554", "DATA",
     "blocked"),
    ("Service unavailable; Client host [192.0.2.9] blocked using Barracuda Reputation",
     "5.7.1", "554", "RCPT", "blocked"),
    ("Client host rejected: cannot find your hostname, [192.0.2.9]", "4.7.1", "450", "RCPT",
     "requireptr"),
    ("Message filtered. Refer to the Troubleshooting page at symanteccloud.com", "5.3.0", "553",
     "DATA", "spamdetected"),
    # Postfix, Exim, sendmail, qmail, Dovecot, OpenSMTPD and others
    ("<a@shop.test>: Recipient address rejected: User unknown in virtual mailbox table", "5.1.1",
     "550", "RCPT", "userunknown"),
    ("<a@shop.test>: Relay access denied", "5.7.1", "554", "RCPT", "norelaying"),
    ("<a@shop.test>: Recipient address rejected: Greylisted, try again in 300 seconds", "4.2.0",
     "450", "RCPT", "blocked"),
    ("<me@our.test>: Sender address rejected: Domain not found", "4.1.8", "450", "RCPT",
     "rejected"),
    ("Helo command rejected: need fully-qualified hostname", "5.5.2", "504", "HELO", "blocked"),
    ("message size 31457280 exceeds size limit 10240000 of server mx.shop.test", "5.3.4", "",
     "", "mesgtoobig"),
    ("connect to mx.shop.test[192.0.2.9]:25: Connection timed out", "4.4.1", "", "", "expired"),
    ("connect to mx.shop.test[192.0.2.9]:25: Connection refused", "4.4.1", "", "", "networkerror"),
    ("Host or domain name not found. Name service error for name=shop.test type=A: Host not found",
     "5.4.4", "", "", "hostunknown"),
    ("mail for shop.test loops back to myself", "5.4.6", "", "", "systemerror"),
    ("lost connection with mx.shop.test[192.0.2.9] while sending end of data", "4.4.2", "", "DATA",
     "networkerror"),
    ("Domain shop.test does not accept mail (nullMX)", "5.1.0", "", "", "notaccept"),
    ("TLS is required, but was not offered by host mx.shop.test", "5.7.4", "", "",
     "failedstarttls"),
    ("all relevant MX records point to non-existent hosts", "", "", "", "hostunknown"),
    ("retry timeout exceeded", "", "", "", "expired"),
    ("Unrouteable address", "", "", "", "hostunknown"),
    ("<a@shop.test>... User unknown", "5.1.1", "550", "RCPT", "userunknown"),
    ("Sorry, no mailbox here by that name. (#5.1.1)", "5.1.1", "", "", "userunknown"),
    ("sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "5.7.1", "553", "RCPT",
     "norelaying"),
    ("<a@shop.test> Quota exceeded (mailbox for user is full)", "5.2.2", "552", "DATA",
     "mailboxfull"),
    ("Command died with status 1: \"/usr/bin/filter\"", "5.3.0", "", "", "mailererror"),
    ("552 virus Eicar-Test-Signature found in the message", "5.7.1", "552", "DATA",
     "virusdetected"),
    ("Too many connections, slow down.", "4.7.0", "421", "CONN", "toomanyconn"),
    ("Insufficient system storage", "4.3.1", "452", "MAIL", "systemfull"),
    ("554 rejected due to spam content", "5.7.1", "554", "DATA", "spamdetected"),
    ("Bad HELO - Host impersonating", "5.7.1", "550", "HELO", "blocked"),
    ("SMTP AUTH is required for message submission on port 587", "5.7.0", "530", "MAIL",
     "securityerror"),
    ("User unknown", "", "550", "DATA", "filtered"),
    ("", "", "", "", "undefined"),
    ("xyzzy", "", "", "", "onhold"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "status", "reply", "command", "reason"), SAYINGS)
def test_what_servers_say(text: str, status: str, reply: str, command: str, reason: str) -> None:
    assert reason_of(Diagnostic(text, status, reply, command)) == reason


def table() -> list[list[str]]:
    """bounce_sayings.txt: what is said in many words the world over."""
    lines = Path(__file__).with_name("bounce_sayings.txt").read_text().splitlines()
    return [line.split("|", 4) for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(("reason", "command", "reply", "status", "text"), table())
def test_what_is_said_the_world_over(
    reason: str, command: str, reply: str, status: str, text: str
) -> None:
    assert reason_of(Diagnostic(text, status, reply, command)) == reason
