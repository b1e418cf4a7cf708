"""Whose resources a call is about."""

from __future__ import annotations

from uuid import UUID

from libs.auth import caller
from libs.errors import AppError, Kind


def account() -> UUID:
    """The calling account. The rules let nobody else in; should they, nothing is shown."""
    who = caller().account
    if who is None:
        raise AppError(Kind.FORBIDDEN, "account_required", "only an account has these")
    return who
