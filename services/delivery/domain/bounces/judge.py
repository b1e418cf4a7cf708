"""From what a report says of a recipient to a bounce."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.delivery.domain.bounces import codes
from services.delivery.domain.bounces.classify import Diagnostic, reason_of
from services.delivery.domain.bounces.reasons import Reason, is_hard, own_status
from services.delivery.domain.bounces.rows import Bounce, Draft

MAX_SAID = 500


@dataclass(frozen=True, slots=True)
class Origin:
    """The mail that came back, and who says so: `reporting` is a server."""

    message_id: str = ""
    feedback_id: str = ""
    reporting: str = ""


def bounce(draft: Draft, origin: Origin) -> Bounce:
    """What became of the mail to one recipient."""
    known = _known(draft)
    reason = reason_of(known)
    said = f"{known.text or draft.before}\n{draft.said}"
    temporary = _is_temporary(known.status, known.reply, draft.action, said)
    status = known.status or own_status(_of_recipient(reason, known, draft), temporary)
    return Bounce(
        recipient=draft.recipient,
        status=status,
        reply=known.reply,
        reason=reason,
        hard=is_hard(reason, status),
        diagnostic=short(known.text or _answered(draft.before)),
        action=draft.action,
        command=known.command,
        reporting=origin.reporting,
        remote=draft.remote,
        message_id=origin.message_id,
        feedback_id=origin.feedback_id,
    )


def _is_temporary(status: str, reply: str, action: str, text: str) -> bool:
    """Whether the refusal is one for now: by its codes, else by what is said."""
    for code in (status, reply):
        if code[:1] in ("4", "5"):
            return code[0] == "4"
    if action == "delayed":
        return True
    text = text.lower()
    return any(word in text for word in _FOR_NOW)


_FOR_NOW = (
    "deferred", "delayed", "will be retried", "will retry", "details of temporary failure",
    "temporarily", "delay reason", "not yet been delivered", "hosts have been failing",
    "retry time not reached",
    "temporary problem", "retry timeout exceeded", "try again later", "warning message only",
)  # fmt: skip


def notice(reason: Reason, recipient: str, said: str, origin: Origin) -> Bounce:
    """A row for what is no failure: a complaint, or an automatic reply."""
    return Bounce(
        recipient,
        status="",
        reply="",
        reason=reason,
        hard=False,
        diagnostic=short(said),
        reporting=origin.reporting,
        message_id=origin.message_id,
        feedback_id=origin.feedback_id,
    )


def _known(draft: Draft) -> Diagnostic:
    """What was said of it, the most direct first, with the codes and the command in that."""
    everything = [text for text in (draft.diagnostic, draft.said, draft.before) if text.strip()]
    said = [_answered(text) for text in everything]
    found = _codes(draft.status, said)
    command = next(filter(None, map(codes.command, said)), "")
    direct = [_answered(text) for text in (draft.diagnostic, draft.said) if text.strip()]
    if not direct and not found.status and not found.reply:
        direct = said
    text, more, *_ = [*direct, "", ""]
    context = "\n".join(everything)
    return Diagnostic(
        text, found.status, found.reply, command, draft.remote, more, context, draft.category
    )


def _codes(field: str, said: list[str]) -> codes.Codes:
    """The first of the texts may better the report's status; the others fill in what is missing."""
    found = codes.Codes(field, "")
    for at, text in enumerate(said):
        more = codes.find(found.status, text)
        status = found.status if at and found.status else more.status
        found = codes.Codes(status, found.reply or more.reply)
    return found


def _of_recipient(reason: Reason, known: Diagnostic, draft: Draft) -> Reason:
    """What is known of the recipient: with Exim nothing, where MAIL was refused before RCPT."""
    is_exim = "\n    SMTP error from" in draft.said
    return Reason.ONHOLD if known.command == "MAIL" and is_exim else reason


_ANSWER = re.compile(
    r"(?i)(?:the response (?:was|from the remote server was)"
    r"|the error that the other server returned was"
    r"|body of message generated response|error message below|server message):?\s"
)


def _answered(text: str) -> str:
    """Only what the receiver answered, where the report says where that begins."""
    found = _ANSWER.search(text)
    return text[found.end() :] if found is not None and text[found.end() :].strip() else text


def short(text: str) -> str:
    """The text on one line, at most 500 characters of it."""
    return " ".join(text[: 8 * MAX_SAID].split())[:MAX_SAID]
