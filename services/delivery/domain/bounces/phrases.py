"""Words by which receivers give their reasons, in lower case.

Each phrase is stock text of a mail server or of a large receiver. "a*b" is b within 80 characters
after a. The order is that of `ORDER`: the more telling reason first.
"""

from __future__ import annotations

from services.delivery.domain.bounces.reasons import Reason

_R = Reason

PHRASES: dict[Reason, tuple[str, ...]] = {
    _R.USERUNKNOWN: ("user unknown", "no such user", "unknown user", "mailbox not found"),
    _R.MAILBOXFULL: ("mailbox full", "mailbox is full", "over quota", "quota exceeded"),
}
ORDER: tuple[Reason, ...] = (_R.MAILBOXFULL, _R.USERUNKNOWN)
