"""What each RPC lets in, read from the `pq.auth.v1.rule` option in the descriptors.

Deny by default: an RPC without a rule lets nobody in, and a server refuses to start with one.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from libs.auth.callers import Caller, CallerKind, Role
from libs.errors import AppError, Kind
from pq.auth.v1 import rule_pb2

# Whom an asked-for role lets in: itself and those above it. ADMIN has every role.
_REACH = {
    Role.VIEWER: frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    Role.OPERATOR: frozenset({Role.OPERATOR, Role.ADMIN}),
    Role.ADMIN: frozenset({Role.ADMIN}),
    Role.INGEST: frozenset({Role.INGEST, Role.ADMIN}),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """The doors of one RPC. `roles` holds every role that is let in."""

    method: str
    anonymous: bool = False
    account: bool = False
    roles: frozenset[Role] = frozenset()
    service: bool = False
    read_only: bool = False

    def check(self, caller: Caller) -> None:
        """Returns for whom is let in; raises AppError (UNAUTHENTICATED, FORBIDDEN) for the rest."""
        if not self.anonymous:
            # What is open to everybody is open to every token as well.
            self._check_door(caller)
        if caller.read_only and not self.read_only:
            raise self._refusal("read_only_token", "this token only reads")

    def _check_door(self, caller: Caller) -> None:
        if caller.kind is CallerKind.OPERATOR:
            if caller.role in self.roles:
                return
            raise self._refusal("role_too_low", self._wanted(caller.role))
        if caller.kind is CallerKind.ACCOUNT:
            if self.account:
                return
            raise self._refusal("account_not_allowed", "an account's token does not open this")
        if caller.kind is CallerKind.SERVICE:
            if self.service:
                return
            raise self._refusal("service_not_allowed", f"{caller.subject} may not call this")
        raise AppError(
            Kind.UNAUTHENTICATED, "token_missing", "a token is needed here", metadata=self._named()
        )

    def _wanted(self, role: Role) -> str:
        if not self.roles:
            return "no operator's token opens this"
        wanted = " or ".join(role.name.lower() for role in sorted(self.roles))
        return f"this takes the role {wanted}; the token has {role.name.lower()}"

    def _refusal(self, reason: str, message: str) -> AppError:
        return AppError(Kind.FORBIDDEN, reason, message, metadata=self._named())

    def _named(self) -> dict[str, str]:
        return {"method": self.method}


def rule_of(method: MethodDescriptor) -> Rule | None:
    """The rule of one RPC; None where it carries none, or one that lets nobody in."""
    options = method.GetOptions()
    if not options.HasExtension(rule_pb2.rule):
        return None
    option = options.Extensions[rule_pb2.rule]
    roles = frozenset[Role]().union(*(_REACH.get(Role(role), ()) for role in option.roles))
    if not (option.anonymous or option.account or roles or option.service):
        return None
    return Rule(
        method=f"/{method.containing_service.full_name}/{method.name}",
        anonymous=option.anonymous,
        account=option.account,
        roles=roles,
        service=option.service,
        read_only=option.read_only,
    )


def find_method(path: str) -> MethodDescriptor | None:
    """The descriptor behind "/package.Service/Method", if its module has been imported."""
    service, _, name = path.lstrip("/").rpartition("/")
    try:
        found = descriptor_pool.Default().FindServiceByName(service)
    except KeyError:
        return None
    method: MethodDescriptor | None = found.methods_by_name.get(name)
    return method


def find_rule(path: str) -> Rule | None:
    """The rule of "/package.Service/Method"; None where there is no such RPC, or no rule."""
    method = find_method(path)
    return rule_of(method) if method is not None else None
