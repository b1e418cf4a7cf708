"""The public error reasons of alerts."""

from __future__ import annotations

from libs.errors import AppError, Kind, Violation, invalid

# How long a caller is asked to wait when the market is away, in seconds.
MARKET_RETRY = 2.0


def unknown_card(name: str) -> AppError:
    """The market has no such card."""
    return invalid("alert.card", f"the market has no {name}", "unknown_card")


def currency_mismatch(field: str, asked: str, quoted: str) -> AppError:
    """The level is in another currency than the card's quotes."""
    violation = Violation(
        f"{field}.currency_code",
        f"expected {quoted}, in which the card is quoted; got {asked}",
        "currency_mismatch",
    )
    told = f"{violation.field}: {violation.description}"
    return AppError(Kind.INVALID, "currency_mismatch", told, violations=[violation])


def market_unavailable() -> AppError:
    """The card cannot be looked up now; nothing was kept."""
    return AppError(
        Kind.UNAVAILABLE,
        "market_unavailable",
        "the market cannot be asked about the card just now; try again",
        retry_after=MARKET_RETRY,
    )


def too_many_alerts(limit: int) -> AppError:
    """The account's limit of active alerts is reached."""
    return AppError(
        Kind.PRECONDITION,
        "too_many_alerts",
        f"at most {limit} active alerts; deactivate one first",
        metadata={"limit": str(limit)},
    )


def etag_mismatch() -> AppError:
    """The alert has changed since the caller saw it."""
    violation = Violation("etag", "the alert has changed since; read it again", "etag_mismatch")
    told = "the alert has changed since; read it again"
    return AppError(Kind.ABORTED, "etag_mismatch", told, violations=[violation])
