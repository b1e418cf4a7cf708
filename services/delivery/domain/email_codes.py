"""One stable code for each answer of an e-mail provider and each SMTP reply.

`CODES` is all there are; docs/email-codes.md shows them. A code never changes its meaning or its
kind: dashboards, alerts and people's own code read them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.delivery.domain import email_answers as answers
from services.delivery.domain.bounces.classify import Diagnostic, reason_of
from services.delivery.domain.bounces.reasons import Reason
from services.delivery.domain.bounces.rows import Bounce
from services.delivery.domain.email_provider_answers import PROVIDERS


class Kind(StrEnum):
    """What follows from a code."""

    # The same message may well go through later.
    RETRY = "retry"
    # This message never goes to this recipient.
    PERMANENT = "permanent"
    # Nothing is wrong with message or recipient: an operator must mend something first.
    CONFIGURATION = "configuration"
    # We were too fast, or our quota is used up: later, and slower.
    RATE = "rate"
    # The recipient wants, or can have, nothing more from us.
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Code:
    """A stable name, what follows from it, and what it means.

    `hard`: the address is no good, and belongs on the suppression list. `elsewhere`: another
    provider may still get the message through.
    """

    name: str
    kind: Kind
    meaning: str
    hard: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Classified:
    """An answer that was read. `reply_code` is an SMTP reply or HTTP status, `status` RFC 3463's
    with "" for none; `text` is at most 500 characters of what was said."""

    code: Code
    reply_code: int
    status: str
    text: str
    reason: Reason | None = None


def _codes() -> dict[str, Code]:
    return {
        name: Code(name, Kind(kind), meaning, "hard" in flags, "elsewhere" in flags)
        for name, kind, flags, meaning in answers.CODES
    }


CODES: Mapping[str, Code] = _codes()
MAX_TEXT = 500
_MAX_READ = 16_384
_STATUS = re.compile(r"(?<![0-9.])([245])\.([0-7])\.([0-9]{1,3})(?![0-9.])")


def of_reply(reply_code: int, status: str | None, text: str) -> Classified:
    """What an SMTP reply says. `status` may be left out where the text begins with it. A number
    that is no refusal is `email_unexpected_reply`; nothing is raised."""
    text = text[:_MAX_READ]
    if not status:
        found = _STATUS.search(text)
        status = found[0] if found else ""
    if not 400 <= reply_code <= 599:
        return _classified("email_unexpected_reply", reply_code, status, text)
    name = _about_us(reply_code, status, text)
    if name:
        return _classified(name, reply_code, status, text)
    reason = reason_of(Diagnostic(text, status, str(reply_code)))
    temporary = reply_code < 500
    name = code_of_reason(reason, temporary)
    if reason in _VAGUE:
        name = answers.REPLIES.get(reply_code, name)
    return _classified(name, reply_code, status, text, reason)


def of_provider(provider: str, http_status: int, body: Mapping[str, object] | bytes) -> Classified:
    """What a provider's HTTP answer says. `provider` is resend, sendgrid, postmark or ses; of
    another one the HTTP status is read. Bodies that cannot be read count as empty."""
    document = _document(body)
    names, text = _said(document)
    if not names and not text and isinstance(body, bytes):
        text = body[:_MAX_READ].decode("utf-8", "replace")
        names = frozenset(re.findall(r"<Code>(\w{1,60})</Code>", text))
    wanted = text.lower()
    for rule in PROVIDERS.get(provider, ()):
        if rule.http not in (0, http_status):
            continue
        if rule.name and rule.name not in names:
            continue
        if rule.words and not any(words in wanted for words in rule.words):
            continue
        return _classified(rule.code, http_status, "", text)
    if http_status in answers.HTTP:
        name = answers.HTTP[http_status]
    elif http_status >= 500:
        name = "email_provider_unavailable"
    elif http_status >= 400:
        name = "email_request_refused"
    else:
        name = "email_unexpected_reply"
    return _classified(name, http_status, "", text)


def code_of_reason(reason: Reason, temporary: bool) -> str:
    """The name of the code that stands for a reason, such as a bounce's."""
    permanent, passing = answers.REASONS[reason]
    return passing if temporary else permanent


def _about_us(reply_code: int, status: str, text: str) -> str:
    """The code of a refusal that concerns our account at the server, else "". RFC 3207 §4 gives
    530 a second meaning."""
    if reply_code == 530 and "starttls" in text.lower():
        return "email_encryption_required"
    by_status = answers.SUBMISSION_STATUSES.get(status[2:], "")
    return answers.SUBMISSION_REPLIES.get(reply_code, by_status)


def of_bounce(bounce: Bounce) -> Code:
    """The code of what a bounce says."""
    return CODES[code_of_reason(bounce.reason, temporary=bounce.status.startswith("4"))]


_VAGUE = frozenset({Reason.UNDEFINED, Reason.ONHOLD})


def _classified(
    name: str, reply_code: int, status: str, text: str, reason: Reason | None = None
) -> Classified:
    return Classified(CODES[name], reply_code, status, " ".join(text.split())[:MAX_TEXT], reason)


def _document(body: Mapping[str, object] | bytes) -> Mapping[str, object]:
    if not isinstance(body, bytes):
        return body
    try:
        document = json.loads(body[: 4 * _MAX_READ])
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _said(document: Mapping[str, object]) -> tuple[frozenset[str], str]:
    """The machine's words for the error, and the sentences for people, fields named before."""
    names, sentences = [], []
    for key in ("name", "ErrorCode", "__type", "code", "Code"):
        value = document.get(key)
        if isinstance(value, str | int):
            names.append(str(value).rpartition("#")[2].partition(":")[0])
    for key in ("message", "Message"):
        value = document.get(key)
        if isinstance(value, str):
            sentences.append(value[:_MAX_READ])
    errors = document.get("errors")
    for error in errors[:20] if isinstance(errors, list) else ():
        if isinstance(error, Mapping):
            said = (error.get(key) for key in ("field", "message"))
            sentences.append(": ".join(part[:1000] for part in said if isinstance(part, str)))
    return frozenset(names), "; ".join(sentences)
