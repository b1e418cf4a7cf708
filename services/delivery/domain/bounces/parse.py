"""From a raw mail to its bounces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from services.delivery.domain.bounces import addresses, judge, kinds, notice, notification, report
from services.delivery.domain.bounces.judge import Origin
from services.delivery.domain.bounces.mail import Mail, Part, header_text, read, without_tags
from services.delivery.domain.bounces.reasons import Reason
from services.delivery.domain.bounces.rows import Bounce, Draft

_MAX_DEPTH = 2
_MAX_NOTICE = 32 * 1024
_RETURNED = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
_STATUS = ("message/delivery-status", "message/global-delivery-status")
_MESSAGE_ID = re.compile(r"(?im)^message-id:\s{0,8}<([^<>\s]{1,250})>")
_HOTMAIL = "x-hmxmroriginalrecipient"
_ANSWERED_ID = re.compile(r"<([^<>\s]{1,250})>")
_FEEDBACK_ID = re.compile(r"(?im)^feedback-id:[ \t]{0,8}(\S{1,250})")
# OpenSMTPD's fields say one thing of all recipients; what tells is its words.
_OPENSMTPD = re.compile(r"Hi!\s{1,20}This is the MAILER-DAEMON")
# Microsoft's complaints come without a report, but with a header in the mail that came back.
_COMPLAINT = re.compile(r"(?i)complaint about message from ")
_RETURNED_TO = re.compile(
    r"(?im)^(x-hmxmroriginalrecipient|to|x-original-to|delivered-to):[ \t]{0,8}([^\n]{1,500})"
)


def parse(raw: bytes) -> list[Bounce]:
    """What the mail says became of mails to whom, a row for each recipient, in its order. Empty
    for a mail that is no bounce, no complaint and no automatic reply. Never raises for what is in
    `raw`, of which at most 2 MiB are read."""
    return _bounces(read(raw), 0)


def _bounces(mail: Mail, depth: int) -> list[Bounce]:
    texts, returned = _sides(mail)
    answered = _no_failure(mail, texts, returned)
    if answered:
        return answered
    kind, drafts, reporting = notification.read(texts)
    if not kind:
        reporting, drafts = _drafts(mail, texts, returned)
    if not drafts and depth < _MAX_DEPTH:
        for part in mail.parts:
            inner = part.kind in _RETURNED and _bounces(read(part.text.encode()), depth + 1)
            if inner:
                return inner
    origin = replace(_origin(mail, returned), reporting=reporting)
    if kind == "complaint":
        return [judge.notice(Reason.FEEDBACK, draft.recipient, kind, origin) for draft in drafts]
    return [judge.bounce(draft, origin) for draft in drafts]


def _no_failure(mail: Mail, texts: str, returned: str) -> list[Bounce]:
    """Complaints and automatic replies."""
    origin = _origin(mail, returned)
    feedback = [part.text for part in mail.parts if part.kind == "message/feedback-report"]
    if not feedback and mail.report == "feedback-report":
        feedback = [texts]
    if feedback or _COMPLAINT.match(header_text(mail.headers.get("subject", ""))):
        return _complaints(feedback[0] if feedback else "", returned, origin)
    if kinds.asks_to_unsubscribe(texts):
        return [judge.notice(Reason.FEEDBACK, _sender(mail), "unsubscribe", origin)]
    if not any(part.kind in _STATUS for part in mail.parts) and kinds.is_auto_reply(mail):
        return [judge.notice(Reason.VACATION, _sender(mail), texts, origin)]
    return []


def _drafts(mail: Mail, texts: str, returned: str) -> tuple[str, list[Draft]]:
    """The reporting server and the recipients: of fields, else of words."""
    own = _own(mail)
    if _OPENSMTPD.search(texts[:1000]):
        return "", _told(mail, texts, returned, own)
    reporting, drafts = _reported(mail.parts)
    if not drafts:
        reporting, drafts = report.delivery_status(texts)
        texts = _without_fields(texts) if drafts else texts
    if not drafts:
        return reporting, _told(mail, texts, returned, own)
    notice.tell(drafts, texts, own)
    if len(drafts) == 1 and not drafts[0].before:
        drafts[0].before = texts
    return reporting, drafts


def _sides(mail: Mail) -> tuple[str, str]:
    """What the report says in words, and the mail that came back."""
    words: list[str] = []
    html: list[str] = []
    returned = ""
    for part in mail.parts:
        if part.kind in _RETURNED:
            returned = returned or part.text
        elif part.kind == "text/html":
            html.append(without_tags(part.text))
        elif part.kind.startswith("text/") and not returned:
            words.append(part.text)
    text = "\n".join(words) if "".join(words).strip() else "\n".join(html)
    said, rest = notice.cut(notice.unquoted(text[:_MAX_NOTICE]))
    return said, returned or rest


def _reported(parts: Sequence[Part]) -> tuple[str, list[Draft]]:
    for part in parts:
        if part.kind in _STATUS:
            reporting, drafts = report.delivery_status(part.text)
            if drafts:
                return reporting, drafts
    return "", []


def _own(mail: Mail) -> set[str]:
    """Addresses that are the sender's, or the reporting server's own."""
    named = [mail.headers.get(name, "") for name in ("to", "from", "delivered-to", "reply-to")]
    return {address.lower() for value in named for address in addresses.in_text(value)}


def _without_fields(text: str) -> str:
    kept = text.split("\n")
    return "\n".join(line for line in kept if not re.match(r"(?i)[a-z-]{4,30}:", line))


def _sender(mail: Mail) -> str:
    found = addresses.in_text(mail.headers.get("from", ""))
    return found[0] if found else ""


def _told(mail: Mail, texts: str, returned: str, own: set[str]) -> list[Draft]:
    """Recipients of a bounce that has no fields, "" of mail that is no bounce."""
    failed = addresses.in_text(mail.headers.get("x-failed-recipients", ""))
    if failed:
        drafts = [Draft(address) for address in dict.fromkeys(failed)][:50]
        notice.tell(drafts, texts, own)
        if len(drafts) == 1 and not drafts[0].said:
            drafts[0].said = texts
        return drafts
    if not kinds.looks_like_bounce(mail, texts):
        return []
    drafts = notice.recipients(texts, own)
    if drafts:
        return drafts
    to = _RETURNED_TO.search(returned)
    back = addresses.in_text(to[2]) if to is not None else []
    inside = [found for found in addresses.in_text(texts) if found.lower() not in own]
    author = [] if kinds.is_daemon(mail) else addresses.in_text(mail.headers.get("from", ""))
    return [Draft(address, said=texts) for address in (back or inside or author)[:1]]


def _complaints(text: str, returned: str, origin: Origin) -> list[Bounce]:
    kind, named, fields = report.feedback(text)
    if not named:
        found = sorted(_RETURNED_TO.findall(returned), key=lambda row: row[0].lower() != _HOTMAIL)
        named = addresses.in_text(found[0][1])[:1] if found else []
    origin = replace(origin, reporting=report.host(fields.get("reporting-mta", "")))
    return [judge.notice(Reason.FEEDBACK, name, kind, origin) for name in named or [""]]


def _origin(mail: Mail, returned: str) -> Origin:
    """The ids of the mail that came back: its own, else those that the report answers to."""
    message, feedback = _MESSAGE_ID.search(returned), _FEEDBACK_ID.search(returned)
    answered = mail.headers.get("in-reply-to", "") or mail.headers.get("references", "")
    named = _ANSWERED_ID.findall(answered)
    message_id = message[1] if message else named[-1] if named else ""
    return Origin(message_id, feedback[1] if feedback else "")
