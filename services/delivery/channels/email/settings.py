"""The settings of e-mail, as part of delivery's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from libs.config import field
from services.delivery.channels.email import resend
from services.delivery.channels.email.dkim import Selector, parse_selector
from services.delivery.channels.email.smtp import Relay

PROVIDERS = ("resend", "smtp", "sink")


def _providers(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if name not in PROVIDERS:
            raise ValueError(f"expected some of {', '.join(PROVIDERS)}; got {name!r}")
    if len(set(names)) != len(names):
        raise ValueError("expected each provider once")
    return names


def _selectors(text: str) -> tuple[Selector, ...]:
    return tuple(parse_selector(part) for part in text.split(",") if part.strip())


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value <= 10_000:
        raise ValueError("expected e-mails a second, more than 0 and at most 10000")
    return value


def _relay(text: str) -> str:
    Relay.parse(text)
    return text


def _http(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("expected https://…")
    return text.rstrip("/")


@dataclass(frozen=True)
class EmailSettings:
    """What e-mail needs to know. No provider: nothing is sent, and messages wait."""

    email_providers: tuple[str, ...] = field(
        "PQ_EMAIL_PROVIDERS",
        (),
        help="what sends e-mail, the first choice first: resend, smtp, sink; none means that"
        " e-mail waits",
        parse=_providers,
    )
    email_from: str = field(
        "PQ_EMAIL_FROM", "", help='who e-mail is from, such as "pq <alerts@example.com>"'
    )
    email_reply_to: str = field("PQ_EMAIL_REPLY_TO", "", help="where answers go, if elsewhere")
    public_url: str = field(
        "PQ_PUBLIC_URL",
        "http://127.0.0.1:8080",
        help="where people reach the REST API; links in e-mail begin with it",
        parse=_http,
    )
    email_deadline: float = field(
        "PQ_EMAIL_DEADLINE", 12.0, help="seconds that handing one e-mail over may take"
    )
    resend_url: str = field("PQ_EMAIL_RESEND_URL", resend.URL, help="Resend's API", parse=_http)
    resend_key: Path | None = field("PQ_EMAIL_RESEND_KEY", None, help="file of Resend's API key")
    resend_rate: float = field(
        "PQ_EMAIL_RESEND_RATE", 2.0, help="requests a second to Resend", parse=_rate
    )
    smtp_url: str = field(
        "PQ_EMAIL_SMTP_URL",
        "",
        help="the relay: smtps://user@host (TLS), smtp://user@host (STARTTLS) or smtp+plain://host",
        parse=_relay,
    )
    smtp_password: Path | None = field(
        "PQ_EMAIL_SMTP_PASSWORD", None, help="file of the relay's password"
    )
    smtp_rate: float = field(
        "PQ_EMAIL_SMTP_RATE", 20.0, help="e-mails a second through the relay", parse=_rate
    )
    smtp_connections: int = field(
        "PQ_EMAIL_SMTP_CONNECTIONS", 4, help="connections to the relay at a time"
    )
    smtp_bounces: str = field(
        "PQ_EMAIL_SMTP_BOUNCES",
        "",
        help="the envelope's sender, where bounces go; the address of PQ_EMAIL_FROM if unset",
    )
    dkim: tuple[Selector, ...] = field(
        "PQ_EMAIL_DKIM",
        (),
        help="what signs e-mail for the relay: selector:keyfile or selector:keyfile:time, with"
        " commas between; the one whose time came last signs",
        parse=_selectors,
    )
    email_sink: Path | None = field(
        "PQ_EMAIL_SINK", None, help="folder that the development sink writes .eml files to"
    )
    resend_webhook_secrets: Path | None = field(
        "PQ_EMAIL_RESEND_WEBHOOK_SECRETS",
        None,
        help="file of Resend's webhook secrets, whsec_…, a line each: the current, and the next",
    )
    ses_topics: tuple[str, ...] = field(
        "PQ_EMAIL_SES_TOPICS", (), help="ARNs of the SNS topics that SES reports to"
    )
    postmark_webhook: Path | None = field(
        "PQ_EMAIL_POSTMARK_WEBHOOK", None, help="file of user:password of Postmark's webhook"
    )
    postmark_networks: tuple[str, ...] = field(
        "PQ_EMAIL_POSTMARK_NETWORKS",
        ("3.134.147.250", "50.31.156.6", "50.31.156.77", "18.217.206.57"),
        help="networks that Postmark's webhooks come from",
    )
    sendgrid_key: Path | None = field(
        "PQ_EMAIL_SENDGRID_KEY",
        None,
        help="file of SendGrid's verification keys, a line each: base64 of the public key",
    )
