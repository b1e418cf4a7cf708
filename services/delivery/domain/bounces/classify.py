"""From what a mail server said to a reason."""

from __future__ import annotations

from dataclasses import dataclass

from services.delivery.domain.bounces.phrases import ORDER, PHRASES
from services.delivery.domain.bounces.reasons import Reason, of_status

MAX_DIAGNOSTIC = 4096
_NEAR = 80


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What is known of a refusal; what is not is "". `status` is RFC 3463's, `reply` an SMTP
    reply code, `command` the SMTP command that was refused, `host` the server that refused."""

    text: str
    status: str = ""
    reply: str = ""
    command: str = ""
    host: str = ""


def reason_of(diagnostic: Diagnostic) -> Reason:
    """The reason that the words give, else the one that the status gives."""
    text = " ".join(diagnostic.text[:MAX_DIAGNOSTIC].lower().split())
    for reason in ORDER:
        if any(_says(text, phrase) for phrase in PHRASES[reason]):
            return reason
    found = of_status(diagnostic.status)
    if found is not None:
        return found
    return Reason.ONHOLD if text else Reason.UNDEFINED


def _says(text: str, phrase: str) -> bool:
    first, _, then = phrase.partition("*")
    at = text.find(first)
    if at < 0 or not then:
        return at >= 0
    while at >= 0:
        end = at + len(first)
        if text.find(then, end, end + _NEAR + len(then)) >= 0:
            return True
        at = text.find(first, end)
    return False
