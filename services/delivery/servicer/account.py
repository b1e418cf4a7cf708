"""Whose resources a call is about."""

from __future__ import annotations

from uuid import UUID

from libs.api.wire import resource_id
from libs.auth import caller
from libs.errors import AppError, Kind, invalid


def account() -> UUID:
    """The calling account. The rules let nobody else in; should they, nothing is shown."""
    who = caller().account
    if who is None:
        raise AppError(Kind.FORBIDDEN, "account_required", "only an account has endpoints")
    return who


def readable() -> UUID | None:
    """Whose resources a read may show: the calling account's, or everybody's (None), to operators
    whom the rules let in."""
    return caller().account


def account_of(name: str, field: str) -> UUID:
    """The account a call is about: the caller's own, or for operators and services the one named.
    Raises AppError (INVALID) that names `field`, FORBIDDEN for another's."""
    own = caller().account
    if own is None:
        if not name:
            raise invalid(field, "expected accounts/acc_…: whose it is", "required")
        return resource_id("accounts", "acc", name, field=field)
    if name and resource_id("accounts", "acc", name, field=field) != own:
        raise AppError(Kind.FORBIDDEN, "another_account", "an account acts for itself alone")
    return own
