"""From what a mail server said to a reason.

Words weigh more than numbers: receivers put 5.1.1 before anything at all. Where the words are
vague the status decides, and where that is vague too the SMTP command that was refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.delivery.domain.bounces import concepts, vendors
from services.delivery.domain.bounces.addresses import ADDRESS as ADDRESS_IN_TEXT
from services.delivery.domain.bounces.phrases import ADDRESS, LOCAL
from services.delivery.domain.bounces.phrases_of_mail import MAIL
from services.delivery.domain.bounces.phrases_of_servers import (
    GENERAL,
    OF_SECURITY,
    PLAIN,
    SERVERS,
    WEAK,
)
from services.delivery.domain.bounces.reasons import STATUSES, Reason, of_status

MAX_DIAGNOSTIC = 4096
_NEAR = 80
_SHORT = 4
_R = Reason


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What is known of a refusal; what is not is "". `status` is RFC 3463's, `reply` an SMTP
    reply code, `command` the SMTP command that was refused (CONN for the greeting), `host` the
    server that refused. `more` is heard where `text` says nothing, and
    `context` where the status does not either; `category` is the reporting server's view."""

    text: str
    status: str = ""
    reply: str = ""
    command: str = ""
    host: str = ""
    more: str = ""
    context: str = ""
    category: str = ""


# The more telling first: what names its cause comes before what names only its effect.
_ORDER = (
    _R.SUPPRESSED, _R.VIRUSDETECTED, _R.BADREPUTATION, _R.TOOMANYCONN, _R.SPEEDING, _R.REQUIREPTR,
    _R.NOTCOMPLIANTRFC, _R.SPAMDETECTED, _R.AUTHFAILURE, _R.EXCEEDLIMIT, _R.MAILBOXFULL,
    _R.MESGTOOBIG, _R.HASMOVED, _R.NORELAYING, _R.SUSPEND, _R.POLICYVIOLATION, _R.REJECTED,
    _R.BLOCKED, _R.NOTACCEPT, _R.HOSTUNKNOWN, _R.USERUNKNOWN, _R.FILTERED, _R.SECURITYERROR,
    _R.FAILEDSTARTTLS, _R.CONTENTERROR, _R.SYSTEMFULL, _R.MAILERERROR, _R.SYSTEMERROR,
    _R.NETWORKERROR, _R.EXPIRED, _R.SYNTAXERROR,
)  # fmt: skip
_PHRASES = {**ADDRESS, **MAIL, **SERVERS}
# What mobile networks of Japan say in their own words beside a reply that says "user unknown".
_USERS_ACCOUNT = "user(s) account is "
_Row = tuple[Reason, tuple[tuple[str, str], ...]]


def _rows(rows: Iterable[tuple[Reason, tuple[str, ...]]]) -> tuple[_Row, ...]:
    """Each phrase with its beginning, which most texts do not have."""
    return tuple(
        (reason, tuple((phrase.partition("*")[0], phrase) for phrase in phrases))
        for reason, phrases in rows
    )


_TRIES = _rows([*PLAIN, *((reason, _PHRASES[reason]) for reason in _ORDER), *GENERAL])
_OF_SECURITY = _rows(OF_SECURITY)
_WEAK = _rows(WEAK)
# RFC 3463 §3's own words, which servers repeat.
_DESCRIBED = tuple(
    (description.lower(), code)
    for code, (description, _, _) in STATUSES.items()
    if not description.startswith("Other") and len(description) > 8
)
# What is refused before RCPT is the sender or its host, whatever the words are.
_OF_RECIPIENT = frozenset({_R.USERUNKNOWN, _R.HOSTUNKNOWN, _R.FILTERED})
# What cannot be meant of a recipient, or of a message, when there was none yet.
_OF_CONNECTION = frozenset(
    {_R.SUSPEND, _R.HASMOVED, _R.POLICYVIOLATION, _R.REJECTED, _R.CONTENTERROR, _R.SPAMDETECTED}
)
# What a status says that servers give for many reasons.
_VAGUE = frozenset({_R.SECURITYERROR, _R.FILTERED, _R.SYSTEMERROR, _R.BLOCKED})
_OF_COMMAND = {
    "CONN": _R.BLOCKED,
    "EHLO": _R.BLOCKED,
    "HELO": _R.BLOCKED,
    "MAIL": _R.REJECTED,
}
# RFC 7504: hosts that take no mail. RFC 4954 §4.7: they speak of who asks.
_OF_REPLY = {
    "521": _R.NOTACCEPT,
    "556": _R.NOTACCEPT,
    "530": _R.SECURITYERROR,
    "534": _R.SECURITYERROR,
    "535": _R.SECURITYERROR,
}
# RFC 5321 §4.2.2: they speak of commands.
_OF_PROTOCOL = frozenset({"500", "501", "502", "503", "504", "555"})


def reason_of(diagnostic: Diagnostic) -> Reason:
    """The reason for a refusal; `onhold` where something was said that nobody knows, and
    `undefined` where nothing was."""
    text = " ".join(diagnostic.text[:MAX_DIAGNOSTIC].lower().split())
    more = " ".join(diagnostic.more[:MAX_DIAGNOSTIC].lower().split())
    found = vendors.reason_of(text, diagnostic.status, diagnostic.host)
    if _USERS_ACCOUNT in diagnostic.context.lower():
        return _R.SUSPEND
    text, more = _plain(text), _plain(more)
    context = _plain(" ".join(diagnostic.context[:MAX_DIAGNOSTIC].lower().split()))
    if found is None:
        found = _by_words(text, diagnostic) or _by_words(more, diagnostic)
    if found is None:
        found = _of_status(diagnostic) or _described(text, diagnostic.status)
        if found is None or found in _VAGUE:
            found = _by_statement(text, diagnostic) or _by_statement(more, diagnostic) or found
        if found is _R.SECURITYERROR:
            found = _first(f"{text} {more}", _OF_SECURITY) or found
    if found is None:
        found = (
            _first(f"{text} {more}", _WEAK)
            or _by_words(context, diagnostic)
            or _OF_REPLY.get(diagnostic.reply)
            or _OF_COMMAND.get(diagnostic.command)
            or (_R.SYNTAXERROR if diagnostic.reply in _OF_PROTOCOL else None)
        )
    if found is None or found is _R.FILTERED:
        found = vendors.CATEGORIES.get(diagnostic.category, found)
    if found is None:
        return _R.ONHOLD if text else _R.UNDEFINED
    return found


def _plain(text: str) -> str:
    """Without addresses, whose names are no words, and without the heading that Cisco's gateways
    put before what the receiver said."""
    text = ADDRESS_IN_TEXT.sub("@", text)
    _, heading, rest = text.partition(" - unknown address error ")
    return rest if heading and rest else text


def _by_words(text: str, diagnostic: Diagnostic) -> Reason | None:
    return _meant(_first(text, _TRIES) if text else None, text, diagnostic)


def _by_statement(text: str, diagnostic: Diagnostic) -> Reason | None:
    """What the text states in words that are nobody's stock. Who states it without a reply code
    is the mailbox's own server, so that a recipient who is not there is none."""
    reason = concepts.reason_of(text) if text else None
    if reason is _R.USERUNKNOWN and not diagnostic.reply and not diagnostic.status:
        return reason
    return _meant(reason, text, diagnostic)


def _meant(reason: Reason | None, text: str, diagnostic: Diagnostic) -> Reason | None:
    if text.startswith("x-unix;") and reason is not _R.MAILBOXFULL:
        return _R.MAILERERROR
    if reason in _OF_RECIPIENT and diagnostic.command in _OF_COMMAND:
        return _OF_COMMAND[diagnostic.command]
    if reason in _OF_CONNECTION and diagnostic.command == "CONN":
        return _R.BLOCKED
    if reason is _R.SYNTAXERROR and diagnostic.command in ("EHLO", "HELO"):
        return _R.BLOCKED
    if reason is _R.USERUNKNOWN:
        return _no_such_user(text, diagnostic)
    if reason is _R.NETWORKERROR and diagnostic.reply[:1] == "5" and "connection refused" in text:
        return _R.BLOCKED  # A server that answers so has taken the connection.
    if reason is _R.MESGTOOBIG and diagnostic.status[2:] == "2.3":
        return _R.EXCEEDLIMIT
    if reason is _R.HOSTUNKNOWN and diagnostic.status[:1] == "4":
        return _R.NETWORKERROR
    return reason


def _no_such_user(text: str, diagnostic: Diagnostic) -> Reason:
    """A server that has no such user says so at RCPT. One that took RCPT, and says so later, has
    the user, who filters; unless the status or a program of its own says otherwise."""
    found = of_status(diagnostic.status)
    disabled = any("disabled" in said for said in (text, diagnostic.more, diagnostic.context))
    if disabled and found in (None, _R.FILTERED):
        return _R.SUSPEND
    if diagnostic.command in ("RCPT", "VRFY", "EXPN") or found is _R.NOTACCEPT:
        return _R.USERUNKNOWN
    if found is _R.SECURITYERROR:
        return _R.FILTERED
    if found is not None:
        return found
    if diagnostic.status and diagnostic.reply and not diagnostic.command:
        return _R.USERUNKNOWN
    return _R.USERUNKNOWN if any(says(text, phrase) for phrase in LOCAL) else _R.FILTERED


def _of_status(diagnostic: Diagnostic) -> Reason | None:
    found = of_status(diagnostic.status)
    if found is _R.SECURITYERROR and diagnostic.command == "CONN":
        return _R.BLOCKED
    return _OF_COMMAND.get(diagnostic.command, found) if found in _OF_RECIPIENT else found


def _described(text: str, status: str) -> Reason | None:
    for description, code in _DESCRIBED:
        if description in text:
            found = of_status(f"{status[:1] or '5'}.{code}")
            if found is not None:
                return found
    return None


def _first(text: str, rows: tuple[_Row, ...]) -> Reason | None:
    for reason, phrases in rows:
        for beginning, phrase in phrases:
            if beginning in text and says(text, phrase):
                return reason
    return None


def says(text: str, phrase: str) -> bool:
    """Whether the lower-case text has the phrase, from the beginning of a word on; "a*b" is b
    within 80 characters after a. The time taken is linear in the text's length."""
    first, *then = phrase.split("*")
    at = text.find(first)
    while at >= 0:
        end = at + len(first)
        if _whole(text, at, end, len(first)) and _follow(text, end, then):
            return True
        at = text.find(first, end)
    return False


def _follow(text: str, at: int, parts: list[str]) -> bool:
    for part in parts:
        found = text.find(part, at, at + _NEAR + len(part))
        if found < 0:
            return False
        at = found + len(part)
    return True


def _whole(text: str, at: int, end: int, length: int) -> bool:
    if at and text[at - 1].isalnum() and text[at].isalnum() and text[at].isascii():
        return False
    return length > _SHORT or end == len(text) or not text[end].isalnum()
