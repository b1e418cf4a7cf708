"""A bounce as a value."""

from __future__ import annotations

from dataclasses import dataclass

from services.delivery.domain.bounces.reasons import Reason


@dataclass(frozen=True, slots=True)
class Bounce:
    """What became of a mail to one recipient. What is not known is "".

    `status` is RFC 3463's; where the mail named none it is 5.0.9xx or 4.0.9xx, which stands for
    the reason. `diagnostic` is what was said, at most 500 characters. `reporting` is the server
    that wrote the report, `remote` the one that refused. `message_id` is that of the mail that
    came back, without angle brackets, and `feedback_id` its Feedback-ID.
    """

    recipient: str
    status: str
    reply: str
    reason: Reason
    hard: bool
    diagnostic: str
    action: str = ""
    command: str = ""
    reporting: str = ""
    remote: str = ""
    message_id: str = ""
    feedback_id: str = ""


@dataclass(slots=True)
class Draft:
    """A recipient while the mail is read: what a report says of it in fields, and in words.
    `said` follows the address; `before` is what the report begins with, for all recipients.
    `category` is the reporting server's own word for the reason."""

    recipient: str
    status: str = ""
    diagnostic: str = ""
    action: str = ""
    remote: str = ""
    said: str = ""
    before: str = ""
    category: str = ""
