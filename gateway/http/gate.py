"""Who may pass: authentication, then the caller's quota for this class of route."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.http.auth import NOBODY, Authenticator, Identity
from gateway.http.exchange import Exchange, HttpError
from gateway.http.quota import Policy, Quotas, network_of
from gateway.transcode.descriptors import Rpc
from libs.auth import CallerKind
from libs.errors import AppError, Kind


@dataclass(frozen=True, slots=True)
class Policies:
    """Quotas by class of route and kind of caller."""

    anonymous_reads: Policy
    reads: Policy
    writes: Policy
    signups: Policy
    operators: Policy
    callbacks: Policy

    def of(self, rpc: Rpc, kind: CallerKind) -> Policy:
        """What a call counts against."""
        if rpc.is_callback:
            return self.callbacks
        if rpc.rule.read_only:
            return self.of_read(kind)
        if kind is CallerKind.ANONYMOUS:
            return self.signups
        return self.operators if kind is CallerKind.OPERATOR else self.writes

    def of_read(self, kind: CallerKind) -> Policy:
        """What a read counts against."""
        if kind is CallerKind.ANONYMOUS:
            return self.anonymous_reads
        return self.operators if kind is CallerKind.OPERATOR else self.reads


class Gate:
    """Lets requests in."""

    def __init__(
        self,
        authenticator: Authenticator,
        policies: Policies,
        quotas: Quotas,
        trusted_proxies: frozenset[str] = frozenset(),
    ) -> None:
        self._authenticator = authenticator
        self._policies = policies
        self._quotas = quotas
        self._trusted = trusted_proxies

    async def enter(self, exchange: Exchange, rpc: Rpc | None) -> Identity:
        """Who calls, let in by the RPC's rule and counted; None stands for a cached public read.

        Raises AppError UNAUTHENTICATED, FORBIDDEN or RATE_LIMITED.
        """
        authorization = exchange.headers.get("authorization")
        identity = NOBODY
        if authorization is not None and not (rpc is not None and rpc.is_callback):
            identity = await self._identify(exchange, authorization)
        kind = identity.caller.kind
        policy = self._policies.of(rpc, kind) if rpc else self._policies.of_read(kind)
        self._count(exchange, policy, identity)
        if rpc is not None:
            rpc.rule.check(identity.caller)
        return identity

    def enter_unknown(self, exchange: Exchange) -> None:
        """Lets in who reads what anybody may, without a token. Raises AppError RATE_LIMITED."""
        self._count(exchange, self._policies.anonymous_reads, NOBODY)

    def forgive(self, exchange: Exchange, rpc: Rpc) -> None:
        """Takes a sign-up that could not be served off its count, which is small: who tries again
        while a database comes up would be locked out for an hour by our own fault."""
        if self._policies.of(rpc, CallerKind.ANONYMOUS) is self._policies.signups:
            self._quotas.give_back(self._policies.signups, self.client_of(exchange))

    async def _identify(self, exchange: Exchange, authorization: str) -> Identity:
        if len(exchange.headers.get_all("authorization")) > 1:
            raise HttpError(400, "authorization_repeated", "Authorization is given twice")
        try:
            return await self._authenticator.authenticate(authorization)
        except AppError as error:
            # Guessing counts like any other anonymous read.
            if error.kind is Kind.UNAUTHENTICATED:
                self._count(exchange, self._policies.anonymous_reads, NOBODY)
            raise

    def _count(self, exchange: Exchange, policy: Policy, identity: Identity) -> None:
        if identity.caller.kind is CallerKind.ANONYMOUS:
            who = self.client_of(exchange)
        else:
            who = identity.caller.subject
        told = ("ratelimit-policy", policy.header)
        exchange.quota = [told]  # all that a refusal says
        exchange.quota = [told, ("ratelimit", self._quotas.take(policy, who))]

    def client_of(self, exchange: Exchange) -> str:
        """The address an anonymous caller is counted by. X-Forwarded-For is believed from the right
        as far as trusted proxies wrote it."""
        client = network_of(exchange.request.client)
        if client in self._trusted:
            forwarded = ",".join(exchange.headers.get_all("x-forwarded-for"))
            for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
                client = network_of(hop if hop.startswith("[") else f"{hop}:0")
                if client not in self._trusted:
                    break
        return client
