"""The settings of mail that comes in, as part of delivery's."""

from __future__ import annotations

from dataclasses import dataclass

from libs.config import field
from services.delivery.inbound.listener import Listen, parse_listen, parse_recipients


@dataclass(frozen=True)
class InboundSettings:
    """What taking bounces from a relay needs to know. Without an address nothing listens."""

    bounce_listen: Listen | None = field(
        "PQ_DELIVERY_BOUNCE_LISTEN",
        None,
        help="where a relay hands bounces over, such as lmtp://127.0.0.1:2400 or"
        " smtp://127.0.0.1:2525; nothing listens where it is not set",
        parse=parse_listen,
    )
    bounce_recipients: tuple[str, ...] = field(
        "PQ_DELIVERY_BOUNCE_RECIPIENTS",
        (),
        help="the addresses that bounces come to, such as bounces@example.com, and domains such as"
        " @bounces.example.com, with commas between",
        parse=parse_recipients,
    )
