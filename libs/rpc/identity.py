"""In whose name calls are made."""

from __future__ import annotations

from typing import Protocol

from libs.auth.callers import Caller, CallerKind, caller
from libs.auth.tokens import CallerTokens


class Identity(Protocol):
    """In whose name calls are made."""

    def token(self) -> str | None:
        """The access token to present; None to come as nobody."""
        ...


class ServiceIdentity:
    """Calls in this service's own name."""

    def __init__(self, tokens: CallerTokens, service: str) -> None:
        self._tokens = tokens
        self._caller = Caller.for_service(service)

    def token(self) -> str | None:
        """See `Identity.token`."""
        return self._tokens.token(self._caller)


class CallerIdentity:
    """Calls in the name of the caller of the call under way; the gateway's alone may."""

    def __init__(self, tokens: CallerTokens) -> None:
        self._tokens = tokens

    def token(self) -> str | None:
        """See `Identity.token`."""
        who = caller()
        return None if who.kind is CallerKind.ANONYMOUS else self._tokens.token(who)


class Bearer:
    """Calls with a token that somebody gave us."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str | None:
        """See `Identity.token`."""
        return self._token
