"""Connects the listener with what takes bounces."""

from __future__ import annotations

from libs.config import ConfigError
from libs.db import Database
from libs.runtime import Runtime
from services.delivery.inbound.listener import Listener
from services.delivery.inbound.received import Bounces
from services.delivery.inbound.settings import InboundSettings


def listen_for_bounces(
    rt: Runtime, settings: InboundSettings, db: Database, bounces: Bounces
) -> None:
    """Has a listener run where one is configured; each mail is kept, then passed on. Raises
    ConfigError for an address to listen at without addresses to take mail for."""
    if settings.bounce_listen is None:
        return
    if not settings.bounce_recipients:
        raise ConfigError(
            ["PQ_DELIVERY_BOUNCE_RECIPIENTS: expected with PQ_DELIVERY_BOUNCE_LISTEN"]
        )
    source = settings.bounce_listen.protocol
    listener = Listener(
        settings.bounce_listen,
        settings.bounce_recipients,
        lambda raw: bounces.received(raw, source),
    )
    rt.background("bounces", listener.run, needs=db)
