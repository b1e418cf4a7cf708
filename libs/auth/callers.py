"""The caller of the call under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, IntEnum
from uuid import UUID

from libs.ids import encode


class CallerKind(Enum):
    """How a caller is known."""

    ANONYMOUS = "anonymous"
    ACCOUNT = "account"
    OPERATOR = "operator"
    SERVICE = "service"


class Role(IntEnum):
    """What an operator may do; the numbers are those of pq.auth.v1.Role."""

    NONE = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3
    INGEST = 4


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    `account` is set for an account's token alone, `role` for an operator's. `subject` is what an
    audit names: "anonymous" (in the gateway with the address, "anonymous@…"), "accounts/acc_…", an
    operator's token, or a service.
    """

    kind: CallerKind
    subject: str
    account: UUID | None = None
    role: Role = Role.NONE
    read_only: bool = False

    @property
    def account_name(self) -> str:
        """The resource name, "accounts/acc_…"; empty where the caller is no account."""
        return f"accounts/{encode('acc', self.account)}" if self.account is not None else ""

    @classmethod
    def for_account(cls, account: UUID, *, read_only: bool = False) -> Caller:
        """Whoever holds a token of this account."""
        name = f"accounts/{encode('acc', account)}"
        return cls(CallerKind.ACCOUNT, name, account=account, read_only=read_only)

    @classmethod
    def for_operator(cls, subject: str, role: int, *, read_only: bool = False) -> Caller:
        """Whoever holds an operator's token; `subject` names it. ValueError for no such role."""
        return cls(CallerKind.OPERATOR, subject, role=Role(role), read_only=read_only)

    @classmethod
    def for_service(cls, name: str) -> Caller:
        """A service of ours, such as "alerts"."""
        return cls(CallerKind.SERVICE, name)


ANONYMOUS = Caller(CallerKind.ANONYMOUS, "anonymous")

_current: ContextVar[Caller] = ContextVar("caller", default=ANONYMOUS)


def caller() -> Caller:
    """The caller of the call under way; anonymous outside of any."""
    return _current.get()


def set_caller(who: Caller) -> None:
    """Sets the caller for the rest of this task. A call's own task ends with it."""
    _current.set(who)


@contextmanager
def calling(who: Caller) -> Iterator[None]:
    """Runs a block in the caller's name."""
    token = _current.set(who)
    try:
        yield
    finally:
        _current.reset(token)
