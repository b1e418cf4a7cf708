"""E-mail addresses: which can be one, who reads them, and how far they are confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import IntEnum
from functools import cache
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from libs.daily import Daily, zone
from libs.errors import invalid

# What people are told of by e-mail; the confirmation is not for choosing, nor is the form alerts
# come in.
ALERT_TRIGGERED = "alert.triggered"
ALERT_DIGEST = "alert.digest"
ENDPOINT_FAILING = "endpoint.failing"
ENDPOINT_DISABLED = "endpoint.disabled"
EVENT_TYPES = frozenset({ALERT_TRIGGERED, ENDPOINT_FAILING, ENDPOINT_DISABLED})
MAX_ADDRESSES = 20
MAX_DETAIL = 500
CONFIRMATION_LIFETIME = timedelta(days=3)
# Between confirmations of one address, and how many a mailbox gets in a day, whoever asks.
CONFIRMATION_PAUSE = timedelta(minutes=10)
CONFIRMATION_WINDOW = timedelta(days=1)
CONFIRMATIONS_A_WINDOW = 3

UNSENT = "confirmation_unsent"
# RFC 2142, and what mail providers take for the same: read by several, or by nobody.
_ROLES = (
    "abuse admin administrator all billing bounce bounces compliance contact devnull dns everyone"
    " feedback ftp help hello hostmaster info inoc ispfeedback ispsupport jobs list list-request"
    " legal maildaemon mailer-daemon marketing media newsletter no-reply noc noreply null office"
    " orders phish phishing post postmaster press privacy registrar remove root sales security spam"
    " staff subscribe support sysadmin tech team trouble undisclosed-recipients unsubscribe usenet"
    " uucp webmaster www"
)
ROLES = frozenset(_ROLES.split())


class EmailState(IntEnum):
    """Whether an address is sent to; the numbers are the contract's. SUPPRESSED is never stored."""

    UNCONFIRMED = 1
    CONFIRMED = 2
    SUPPRESSED = 3
    UNSUBSCRIBED = 4


class SuppressionReason(IntEnum):
    """Why nothing is sent to a mailbox; the numbers are the contract's."""

    HARD_BOUNCE = 1
    COMPLAINT = 2
    MANUAL = 3

    @property
    def word(self) -> str:
        """The stable word that owners are shown."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Digest:
    """Alerts come together, at this full hour of the time zone."""

    hour: int
    time_zone: str

    def next(self, now: datetime) -> datetime:
        """When the next one goes out, in UTC."""
        return Daily(time(self.hour), zone(self.time_zone)).next(now)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address that can be one. `key` is the same for all spellings of it."""

    email: str
    key: str
    role_account: bool
    disposable: bool


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An address of an account. No `event_types` means all of them."""

    id: UUID
    account: UUID
    email: str
    email_key: str
    description: str
    event_types: tuple[str, ...]
    state: EmailState
    state_reason: str
    role_account: bool
    disposable: bool
    revision: int
    create_time: datetime
    update_time: datetime
    confirm_time: datetime | None = None
    confirmation_send_time: datetime | None = None
    digest: Digest | None = None
    digest_time: datetime | None = None

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return f'"{self.revision}"'


@dataclass(frozen=True, slots=True)
class Suppression:
    """A mailbox that nothing is sent to."""

    id: UUID
    email_key: str
    reason: SuppressionReason
    detail: str
    source: str
    create_time: datetime


def check_email(text: str, field: str) -> Mailbox:
    """Raises AppError (INVALID) naming `field`; DNS is not asked, for it may be away."""
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise invalid(field, f"is no e-mail address: {error}", "email_malformed") from error
    local = found.local_part.casefold().partition("+")[0]
    return Mailbox(
        email=found.normalized,
        key=found.normalized.casefold(),
        role_account=local in ROLES,
        disposable=is_disposable(found.ascii_domain or found.domain),
    )


def check_digest(hour: int, time_zone: str, field: str) -> Digest:
    """Raises AppError (INVALID) naming what of `field` is wrong."""
    if not 0 <= hour <= 23:
        raise invalid(f"{field}.hour", f"expected 0 to 23; got {hour}", "out_of_range")
    try:
        zone(time_zone or "UTC")
    except ValueError as error:
        told = f"{error}; expected a name such as Europe/Berlin"
        raise invalid(f"{field}.time_zone", told, "unknown_time_zone") from None
    return Digest(hour, time_zone or "UTC")


def key_of(text: str) -> str:
    """The key of an address as others write it, such as "Ann <ANN@Example.com>"."""
    inner = text.rpartition("<")[2].partition(">")[0] if "<" in text else text
    return inner.strip().casefold()


def is_disposable(domain: str) -> bool:
    """Whether the domain, or one above it, gives out mailboxes for minutes."""
    labels = domain.casefold().split(".")
    known = _disposable_domains()
    return any(".".join(labels[at:]) in known for at in range(len(labels) - 1))


@cache
def _disposable_domains() -> frozenset[str]:
    # Read when the first address is checked: most processes never do.
    from disposable_email_domains import blocklist

    return frozenset(blocklist)
