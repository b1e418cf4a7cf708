"""An e-mail ready to go, what a provider answers, and what a provider is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formataddr, parseaddr
from typing import Protocol
from uuid import UUID

from libs.errors import AppError
from libs.ids import decode, encode
from services.delivery.domain.email_codes import Classified

# Two ids: a message's and an address's. It is what finds the delivery that a provider speaks of.
_REFERENCE = re.compile(r"(msg_[0-9a-z]{26})\.(eml_[0-9a-z]{26})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")
MAX_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class Sender:
    """Who e-mail is from: a name, an address, and where answers go ("" for the address)."""

    name: str
    address: str
    reply_to: str = ""

    @classmethod
    def parse(cls, text: str, reply_to: str = "") -> Sender:
        """Of "Name <address>". Raises ValueError."""
        name, address = parseaddr(text)
        if "@" not in address:
            raise ValueError('expected an address, such as "pq <alerts@example.com>"')
        return cls(name, address, reply_to)

    @property
    def domain(self) -> str:
        """The domain of the address."""
        return self.address.rpartition("@")[2]

    @property
    def header(self) -> str:
        """Its form in From."""
        return formataddr((self.name, self.address))


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail. The same delivery always makes the same one, byte for byte.

    `reference` names the delivery to providers, `key` keeps them from sending it twice. `headers`
    are those besides From, To, Subject, Date and Message-ID. No header holds a line break.
    """

    reference: str
    key: str
    sender: Sender
    recipient: str
    subject: str
    text: str
    html: str
    message_id: str
    date: datetime
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered; `refusal` is None where it took the mail.

    `certain` is False where it may have taken it, and nobody knows. `provider_id` is its own name
    for the mail; `reply_code` an HTTP status or an SMTP reply; `retry_after` is in seconds.
    """

    refusal: Classified | None = None
    provider_id: str = ""
    certain: bool = True
    reply_code: int | None = None
    retry_after: float | None = None
    remote_address: str = ""
    text: str = ""


class Provider(Protocol):
    """One way to hand e-mail over."""

    @property
    def name(self) -> str:
        """A stable word, as in metrics and in PQ_EMAIL_PROVIDERS."""
        ...

    async def send(self, mail: Mail) -> Answer:
        """Hands one e-mail over. Whatever happens is an Answer, never an exception."""
        ...

    async def close(self) -> None:
        """Closes what is kept open."""
        ...


def reference_of(message: UUID, address: UUID) -> str:
    """How a delivery is named to providers."""
    return f"{encode('msg', message)}.{encode('eml', address)}"


def read_reference(text: str) -> tuple[UUID, UUID] | None:
    """The message and address named anywhere in `text`, such as a Message-ID."""
    found = _REFERENCE.search(text)
    if found is None:
        return None
    try:
        return decode("msg", found[1]), decode("eml", found[2])
    except AppError:
        return None


def header_text(text: str, limit: int = MAX_SUBJECT) -> str:
    """Text fit for a header: one line, no control characters, not too long."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
