"""From a raw mail to its bounces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from services.delivery.domain.bounces import addresses, codes, notice, report
from services.delivery.domain.bounces.classify import Diagnostic, is_temporary, reason_of
from services.delivery.domain.bounces.mail import Mail, Part, header_text, read, without_tags
from services.delivery.domain.bounces.reasons import Reason, is_hard, own_status
from services.delivery.domain.bounces.rows import Bounce, Draft

MAX_SAID = 500
_MAX_NOTICE = 32 * 1024
_RETURNED = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
_STATUS = ("message/delivery-status", "message/global-delivery-status")
_MESSAGE_ID = re.compile(r"(?im)^message-id:\s{0,8}<([^<>\s]{1,250})>")
_FEEDBACK_ID = re.compile(r"(?im)^feedback-id:[ \t]{0,8}(\S{1,250})")
_RETURNED_TO = re.compile(r"(?im)^(?:to|x-original-to|delivered-to):[ \t]{0,8}([^\n]{1,500})")
_DAEMON = re.compile(
    r"(?i)mailer-daemon|postmaster|mail delivery|mail system|majordomo|-admin@|no-?reply"
)


def parse(raw: bytes) -> list[Bounce]:
    """What the mail says became of mails to whom, a row for each recipient, in its order. Empty
    for a mail that is no bounce, no complaint and no automatic reply. Never raises for what is in
    `raw`, of which at most 2 MiB are read."""
    return _bounces(read(raw), 0)


def _bounces(mail: Mail, depth: int) -> list[Bounce]:
    texts, returned = _sides(mail)
    feedback = [part for part in mail.parts if part.kind == "message/feedback-report"]
    if feedback:
        return _complaints(feedback[0], returned)
    reporting, drafts = _reported(mail.parts)
    own = _own(mail)
    if not drafts:
        reporting, drafts = report.delivery_status(texts)
        texts = _without_fields(texts) if drafts else texts
    if drafts:
        for draft in drafts:
            notice.tell(draft, texts, own, alone=len(drafts) == 1)
    elif _is_auto_reply(mail):
        return [_plain(Reason.VACATION, _sender(mail), texts, returned)]
    else:
        drafts = _told(mail, texts, returned, own)
    if not drafts and depth < 2:
        for part in mail.parts:
            if part.kind in _RETURNED:
                inner = _bounces(read(part.text.encode("utf-8", "replace")), depth + 1)
                if inner:
                    return inner
    return [_row(draft, reporting, returned) for draft in drafts]


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


def _is_auto_reply(mail: Mail) -> bool:
    """A person's mailbox answered: RFC 3834, and what came before it."""
    headers = mail.headers
    if _DAEMON.search(headers.get("from", "")) or "x-failed-recipients" in headers:
        return False
    submitted = headers.get("auto-submitted", "").lower()
    if submitted.startswith(("auto-replied", "auto-generated")):
        return True
    if any(
        name in headers for name in ("x-autoreply", "x-autorespond", "x-auto-response-suppress")
    ):
        return "x-auto-response-suppress" not in headers or bool(
            _AWAY.search(header_text(headers.get("subject", "")))
        )
    if headers.get("precedence", "").lower() in ("auto_reply", "auto-reply"):
        return True
    return bool(_AWAY.search(header_text(headers.get("subject", ""))))


_AWAY = re.compile(
    r"(?i)^\W*(?:auto(?:matic|mated)?[ :_-]*(?:reply|response|responder|answer)"
    r"|out of (?:the )?office"
    r"|vacation|away from|on vacation|abwesen|automatische antwort|réponse automatique"
    r"|respuesta automática|自動返信|不在)"
)


def _told(mail: Mail, texts: str, returned: str, own: set[str]) -> list[Draft]:
    """Recipients of a bounce that has no fields, "" of mail that is no bounce."""
    failed = addresses.in_text(mail.headers.get("x-failed-recipients", ""))
    if failed:
        drafts = [Draft(address) for address in dict.fromkeys(failed)][:50]
        for draft in drafts:
            notice.tell(draft, texts, own, alone=len(drafts) == 1)
        return drafts
    if not _looks_like_bounce(mail, texts):
        return []
    drafts = notice.recipients(texts, own)
    if drafts:
        return drafts
    to = _RETURNED_TO.search(returned)
    back = addresses.in_text(to[1]) if to is not None else []
    inside = [found for found in addresses.in_text(texts) if found.lower() not in own]
    named = (back or inside or addresses.in_text(mail.headers.get("from", "")))[:1]
    return [Draft(address, said=texts) for address in named]


def _looks_like_bounce(mail: Mail, texts: str) -> bool:
    headers = mail.headers
    if mail.report == "delivery-status" or headers.get("return-path", "?") in ("<>", ""):
        return True
    subject = header_text(headers.get("subject", ""))
    if _RCPT.search(texts) or _DAEMON.search(headers.get("from", "")):
        return True
    return bool(_FAILED.search(subject) or _FAILED.search(texts[:2000]))


_RCPT = re.compile(r"(?i)rcpt to: ?<?[^\s@]{1,64}@")
_FAILED = re.compile(
    r"(?i)undeliver|deliver(?:y|ed)? (?:status|failure|failed|notification|report|error)"
    r"|returned mail|returning message|failure notice|mail failure|non[- ]?deliver"
    r"|mail system error"
    r"|could not be delivered|not be delivered|message (?:status|rejected)|mail delivery|bounce"
    r"|not a member|not member|メールエラー|不達|недоставлен"
)


def _complaints(part: Part, returned: str) -> list[Bounce]:
    kind, named, fields = report.feedback(part.text)
    if not named:
        to = _RETURNED_TO.search(returned)
        named = addresses.in_text(to[1])[:1] if to is not None else []
    reporting = report.host(fields.get("reporting-mta", ""))
    row = [_plain(Reason.FEEDBACK, name, kind, returned) for name in named or [""]]
    return [replace(bounce, reporting=reporting) for bounce in row]


def _plain(reason: Reason, recipient: str, said: str, returned: str) -> Bounce:
    message_id, feedback_id = _ids(returned)
    return Bounce(
        recipient,
        "",
        "",
        reason,
        hard=False,
        diagnostic=_short(said),
        message_id=message_id,
        feedback_id=feedback_id,
    )


def _row(draft: Draft, reporting: str, returned: str) -> Bounce:
    said = [text for text in (draft.diagnostic, draft.said, draft.before) if text.strip()]
    said = [_answered(text) for text in said]
    found = codes.Codes(draft.status, "")
    for at, text in enumerate(said):
        more = codes.find(found.status, text)
        status = found.status if at and found.status else more.status
        found = codes.Codes(status, found.reply or more.reply)
    command = next(filter(None, map(codes.command, said)), "")
    first, *rest = said or [""]
    second = rest.pop(0) if len(said) > 1 and said[1] is not draft.before else ""
    known = Diagnostic(
        first, found.status, found.reply, command, draft.remote, second, "\n".join(rest)
    )
    reason = reason_of(known)
    temporary = is_temporary(found.status, found.reply, draft.action, "\n".join(said))
    status = found.status or own_status(reason, temporary)
    message_id, feedback_id = _ids(returned)
    return Bounce(
        recipient=draft.recipient,
        status=status,
        reply=found.reply,
        reason=reason,
        hard=is_hard(reason, status),
        diagnostic=_short(first),
        action=draft.action,
        command=command,
        reporting=reporting,
        remote=draft.remote,
        message_id=message_id,
        feedback_id=feedback_id,
    )


_ANSWER = re.compile(
    r"(?i)(?:the response (?:was|from the remote server was)"
    r"|the error that the other server returned was"
    r"|body of message generated response|error message below|server message):?\s"
)


def _answered(text: str) -> str:
    """Only what the receiver answered, where the report says where that begins."""
    found = _ANSWER.search(text)
    return text[found.end() :] if found is not None and text[found.end() :].strip() else text


def _ids(returned: str) -> tuple[str, str]:
    message, feedback = _MESSAGE_ID.search(returned), _FEEDBACK_ID.search(returned)
    return (message[1] if message else "", feedback[1] if feedback else "")


def _short(text: str) -> str:
    return " ".join(text[: 8 * MAX_SAID].split())[:MAX_SAID]
