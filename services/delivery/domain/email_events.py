"""What happened to an e-mail, whoever tells it: one model for all providers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from uuid import UUID

MAX_TEXT = 1000


class EventKind(IntEnum):
    """Stages; the numbers are the contract's, and the higher wins over the lower, whichever is
    told first. UNKNOWN is kept and changes nothing."""

    UNKNOWN = 0
    ACCEPTED = 1
    SENT = 2
    DELAYED = 3
    SOFT_BOUNCED = 4
    DELIVERED = 5
    BOUNCED = 6
    COMPLAINED = 7


# Stages that end what is known of an e-mail: others are told of them.
TOLD = frozenset(
    {EventKind.SOFT_BOUNCED, EventKind.DELIVERED, EventKind.BOUNCED, EventKind.COMPLAINED}
)


@dataclass(frozen=True, slots=True)
class EmailEvent:
    """One thing that one provider told of one recipient.

    `event_id` is the provider's: the same id tells nothing new. `reference` names the delivery by
    its message and address; `provider_id` is the provider's name for the e-mail. What was not said
    is "" or None.
    """

    provider: str
    event_id: str
    kind: EventKind
    provider_kind: str
    occur_time: datetime
    recipient: str = ""
    reference: tuple[UUID, UUID] | None = None
    provider_id: str = ""
    code: str = ""
    detail: str = ""
    payload: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it was kept."""

    id: UUID
    event: EmailEvent
    receive_time: datetime
