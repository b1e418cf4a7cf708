"""The providers of a configuration, in its order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from libs.clock import Clock
from libs.config import ConfigError
from libs.db import Database
from libs.ids import Ids
from services.delivery.channels.email.batching import SHARE, Batching
from services.delivery.channels.email.choose import Route, Routes
from services.delivery.channels.email.dkim import Signer
from services.delivery.channels.email.health import Health
from services.delivery.channels.email.limits import Pace
from services.delivery.channels.email.mail import Provider, Sender
from services.delivery.channels.email.resend import Resend
from services.delivery.channels.email.settings import EmailSettings
from services.delivery.channels.email.sink import Sink
from services.delivery.channels.email.smtp import Relay, Smtp
from services.delivery.channels.email.webhooks.fetch import Fetcher
from services.delivery.channels.email.webhooks.postmark import PostmarkWebhooks
from services.delivery.channels.email.webhooks.request import Reader
from services.delivery.channels.email.webhooks.resend import ResendWebhooks
from services.delivery.channels.email.webhooks.sendgrid import SendgridWebhooks
from services.delivery.channels.email.webhooks.ses import SesWebhooks

# The development sink shall not be what is slow.
_SINK_RATE = 10_000.0
_NOBODY = "pq <pq@localhost>"


def sender(settings: EmailSettings) -> Sender:
    """Who e-mail is from. Raises ConfigError."""
    needed = set(settings.email_providers) - {"sink"}
    if needed and not settings.email_from:
        raise ConfigError([f"PQ_EMAIL_FROM is not set, which {', '.join(sorted(needed))} needs"])
    try:
        return Sender.parse(settings.email_from or _NOBODY, settings.email_reply_to)
    except ValueError as error:
        raise ConfigError([f"PQ_EMAIL_FROM: {error}"]) from error


def sink(settings: EmailSettings) -> Sink | None:
    """The development sink; None where it is not in use. Raises ConfigError."""
    if "sink" not in settings.email_providers:
        return None
    return Sink(_needed(settings.email_sink, "PQ_EMAIL_SINK"))


def routes(settings: EmailSettings, db: Database, clock: Clock, ids: Ids) -> Routes:
    """All providers with their limits. Raises ConfigError with all faults."""
    made: list[Route] = []
    faults: list[str] = []
    makers: dict[str, tuple[Callable[[], Provider], float]] = {
        "resend": (
            lambda: Batching(_resend(settings, clock), db, clock, ids, settings.resend_rate),
            settings.resend_rate * SHARE,
        ),
        "smtp": (lambda: _smtp(settings, clock), settings.smtp_rate),
        "sink": (lambda: Sink(_needed(settings.email_sink, "PQ_EMAIL_SINK")), _SINK_RATE),
    }
    for name in settings.email_providers:
        make, rate = makers[name]
        try:
            made.append(Route(make(), Pace(rate, clock), Health(name, db, clock)))
        except ConfigError as error:
            faults.extend(error.faults)
    if faults:
        raise ConfigError(faults)
    return Routes(made)


def secret(path: Path, variable: str) -> str:
    """What a file holds, without the white space around it. Raises ConfigError."""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError([f"{variable}: {error}"]) from error


def _resend(settings: EmailSettings, clock: Clock) -> Resend:
    key = secret(_needed(settings.resend_key, "PQ_EMAIL_RESEND_KEY"), "PQ_EMAIL_RESEND_KEY")
    return Resend(key, clock, url=settings.resend_url, deadline=settings.email_deadline)


def _smtp(settings: EmailSettings, clock: Clock) -> Smtp:
    if not settings.smtp_url:
        raise ConfigError(["PQ_EMAIL_SMTP_URL is not set, which smtp needs"])
    password = ""
    if settings.smtp_password is not None:
        password = secret(settings.smtp_password, "PQ_EMAIL_SMTP_PASSWORD")
    who = sender(settings)
    return Smtp(
        Relay.parse(settings.smtp_url, password),
        clock,
        bounces=settings.smtp_bounces or who.address,
        signer=Signer(who.domain, settings.dkim) if settings.dkim else None,
        deadline=settings.email_deadline,
        connections=settings.smtp_connections,
        local_name=who.domain,
    )


def _needed(path: Path | None, variable: str) -> Path:
    if path is None:
        raise ConfigError([f"{variable} is not set, which PQ_EMAIL_PROVIDERS needs"])
    return path


def webhooks(settings: EmailSettings) -> dict[str, Reader]:
    """Who reads which provider's webhooks: those that are configured. Raises ConfigError."""
    makers: dict[str, tuple[str, Callable[[], Reader | None]]] = {
        "resend": ("PQ_EMAIL_RESEND_WEBHOOK_SECRETS", lambda: _resend_webhooks(settings)),
        "ses": ("PQ_EMAIL_SES_TOPICS", lambda: _ses_webhooks(settings)),
        "postmark": ("PQ_EMAIL_POSTMARK_WEBHOOK", lambda: _postmark_webhooks(settings)),
        "sendgrid": ("PQ_EMAIL_SENDGRID_KEY", lambda: _sendgrid_webhooks(settings)),
    }
    found: dict[str, Reader] = {}
    for name, (variable, make) in makers.items():
        try:
            reader = make()
        except (OSError, ValueError) as error:
            raise ConfigError([f"{variable}: {error}"]) from error
        if reader is not None:
            found[name] = reader
    return found


def _resend_webhooks(settings: EmailSettings) -> Reader | None:
    path = settings.resend_webhook_secrets
    return ResendWebhooks(path.read_text().split()) if path is not None else None


def _ses_webhooks(settings: EmailSettings) -> Reader | None:
    return SesWebhooks(settings.ses_topics, Fetcher().get) if settings.ses_topics else None


def _postmark_webhooks(settings: EmailSettings) -> Reader | None:
    path = settings.postmark_webhook
    if path is None:
        return None
    return PostmarkWebhooks(path.read_text().strip(), settings.postmark_networks)


def _sendgrid_webhooks(settings: EmailSettings) -> Reader | None:
    path = settings.sendgrid_key
    return SendgridWebhooks(path.read_text().split()) if path is not None else None
