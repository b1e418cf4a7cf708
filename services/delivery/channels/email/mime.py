"""An e-mail as bytes (RFC 5322, RFC 2045 and following), by the standard library's modern API."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any

from services.delivery.channels.email.mail import Mail, Sender

# Ids and URLs, which some that read them do not join again when they are folded.
_WHOLE = frozenset({"message-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id"})


class _Policy(EmailPolicy):
    """The standard library's SMTP policy, but for headers that stay on one line."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        """See EmailPolicy.fold_binary."""
        if name.lower() in _WHOLE:
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


# Seven bits, so that no relay on the way has to convert it, which would break a DKIM signature.
_POLICY = _Policy(linesep="\r\n", cte_type="7bit", max_line_length=78)


def build(mail: Mail) -> bytes:
    """The whole message: text first, HTML as its better form (RFC 2046 §5.1.4)."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = _address(mail.sender)
    message["To"] = mail.recipient
    if mail.sender.reply_to:
        message["Reply-To"] = mail.sender.reply_to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.date)
    message["Message-ID"] = mail.message_id
    for name, value in mail.headers.items():
        message[name] = value
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    # Else random: the same delivery makes the same bytes.
    message.set_boundary(f"=_{mail.key}")
    return message.as_bytes()


def _address(sender: Sender) -> Address:
    return Address(sender.name, addr_spec=sender.address)
