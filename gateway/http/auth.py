"""Who calls, and what an RPC's rule lets them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from libs.errors import AppError, Kind
from pq.auth.v1 import rule_pb2


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request speaks for.

    `kind` is "anonymous", "account" or "operator". `jwt` is the short-lived access token that the
    services verify; empty for the anonymous. `subject` tells tokens of one owner apart from others'.
    """

    kind: str
    account: UUID | None = None
    role: int = 0
    read_only: bool = False
    jwt: str = ""
    subject: str = ""

    @property
    def caller(self) -> str:
        """Whose quota a request counts against; empty for the anonymous."""
        return self.subject or (str(self.account) if self.account else "")


ANONYMOUS = Identity("anonymous")


class Authenticator(Protocol):
    """Tells who holds a token. Verdicts are cached by the implementation: this runs per request."""

    async def authenticate(self, authorization: str | None) -> Identity:
        """The identity behind the value of an Authorization header; None makes the anonymous.

        Raises AppError UNAUTHENTICATED for a token that is malformed, unknown, expired or revoked,
        and UNAVAILABLE where that cannot be found out just now.
        """
        ...


def admit(rule: rule_pb2.Rule, identity: Identity) -> None:
    """Raises AppError unless the rule lets the caller in: UNAUTHENTICATED where a token could help,
    FORBIDDEN where this one does not."""
    if identity.kind == "anonymous":
        if not rule.anonymous:
            raise AppError(Kind.UNAUTHENTICATED, "token_required", "a token is required")
        return
    if identity.kind == "account":
        let_in = rule.account
    else:
        let_in = any(_covers(identity.role, role) for role in rule.roles)
    # What is open to nobody in particular is open to everybody.
    if not let_in and not rule.anonymous:
        raise AppError(Kind.FORBIDDEN, "not_allowed", "this token may not do that")
    if identity.read_only and not rule.read_only:
        raise AppError(Kind.FORBIDDEN, "read_only_token", "this token may only read")


def _covers(role: int, needed: int) -> bool:
    if role == rule_pb2.ROLE_ADMIN:
        return needed != rule_pb2.ROLE_UNSPECIFIED
    if rule_pb2.ROLE_INGEST in (role, needed):
        return role == needed
    return role >= needed > rule_pb2.ROLE_UNSPECIFIED
