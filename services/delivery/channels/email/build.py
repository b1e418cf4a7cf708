"""The providers of a configuration, in its order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from libs.clock import Clock
from libs.config import ConfigError
from services.delivery.channels.email.choose import Route, Routes
from services.delivery.channels.email.dkim import Signer
from services.delivery.channels.email.health import Health
from services.delivery.channels.email.limits import Pace
from services.delivery.channels.email.mail import Provider, Sender
from services.delivery.channels.email.resend import Resend
from services.delivery.channels.email.settings import EmailSettings
from services.delivery.channels.email.sink import Sink
from services.delivery.channels.email.smtp import Relay, Smtp

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


def routes(settings: EmailSettings, clock: Clock) -> Routes:
    """All providers with their limits. Raises ConfigError with all faults."""
    made: list[Route] = []
    faults: list[str] = []
    makers: dict[str, tuple[Callable[[], Provider], float]] = {
        "resend": (lambda: _resend(settings, clock), settings.resend_rate),
        "smtp": (lambda: _smtp(settings, clock), settings.smtp_rate),
        "sink": (lambda: Sink(_needed(settings.email_sink, "PQ_EMAIL_SINK")), _SINK_RATE),
    }
    for name in settings.email_providers:
        make, rate = makers[name]
        try:
            made.append(Route(make(), Pace(rate, clock), Health(name, clock)))
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
