"""Access tokens: EdDSA JWTs that live for minutes.

Claims: `iss` the issuer (the gateway or a service), `sub` the caller's subject, `kind` account,
operator or service, `acc` the account's id, `role` an operator's role, `ro` true where the token
only reads, `aud` "pq", `iat`, `exp`. The gateway alone speaks for accounts and operators; a
service speaks for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from libs.auth.callers import Caller, CallerKind, Role
from libs.auth.keys import PublicKeys, SigningKey, issuer_of
from libs.clock import Clock
from libs.errors import AppError, Kind

AUDIENCE = "pq"
GATEWAY = "gateway"
LIFETIME = timedelta(minutes=5)
# What two machines' clocks may differ by.
SKEW = timedelta(seconds=5)
MAX_LENGTH = 2048
_REQUIRED = ["iss", "sub", "kind", "aud", "iat", "exp"]
_DECODE: Any = {
    "require": _REQUIRED,
    # Times are checked against the injected clock; the issuer against the key it signed with.
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_iss": False,
}


class Minter:
    """Makes tokens with one private key."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @property
    def issuer(self) -> str:
        """Whom this key speaks for."""
        return self._key.issuer

    def mint_for(
        self, caller: Caller, now: datetime, lifetime: timedelta = LIFETIME
    ) -> tuple[str, datetime]:
        """A token for `caller`, and when it ends. Anonymous callers have none: ValueError."""
        if caller.kind is CallerKind.ANONYMOUS:
            raise ValueError("an anonymous caller has no token")
        issued, expires = int(now.timestamp()), int((now + lifetime).timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": caller.subject,
            "kind": caller.kind.value,
            "aud": AUDIENCE,
            "iat": issued,
            "exp": expires,
        }
        if caller.account is not None:
            claims["acc"] = str(caller.account)
        if caller.role:
            claims["role"] = caller.role.name.lower()
        if caller.read_only:
            claims["ro"] = True
        token = jwt.encode(claims, self._key.key, "EdDSA", headers={"kid": self._key.kid})
        return token, datetime.fromtimestamp(expires, UTC)

    def mint_service(self, now: datetime) -> tuple[str, datetime]:
        """A token for the service that the key belongs to, and when it ends."""
        return self.mint_for(Caller.for_service(self.issuer), now)


@dataclass(frozen=True, slots=True)
class _Minted:
    token: str
    renew: datetime


class CallerTokens:
    """Tokens for callers, each minted once and handed out again for half its life."""

    def __init__(self, minter: Minter, clock: Clock, *, size: int = 10_000) -> None:
        self._minter = minter
        self._clock = clock
        self._size = size
        self._minted: dict[Caller, _Minted] = {}

    def token(self, caller: Caller) -> str:
        """A token for `caller` with at least half its life ahead. ValueError for anonymous."""
        now = self._clock.now()
        known = self._minted.get(caller)
        if known is not None and now < known.renew:
            return known.token
        token, expires = self._minter.mint_for(caller, now)
        self._minted.pop(caller, None)
        _make_room(self._minted, self._size)
        self._minted[caller] = _Minted(token, now + (expires - now) / 2)
        return token


class Verifier:
    """Tells who a token stands for.

    Checking a signature costs about 190 µs, so a good verdict is remembered until the token ends,
    or the keys change. Bad ones are not: they would push the good ones out.
    """

    def __init__(self, keys: PublicKeys, clock: Clock, *, size: int = 10_000) -> None:
        self._keys = keys
        self._clock = clock
        self._size = size
        self._verdicts: dict[str, tuple[Caller, float]] = {}
        self._generation = -1

    def verify(self, token: str) -> Caller:
        """Who the token stands for. Raises AppError (UNAUTHENTICATED) that says what is wrong."""
        self._keys.refresh()
        if self._generation != self._keys.generation:
            self._verdicts.clear()
            self._generation = self._keys.generation
        now = self._clock.now().timestamp()
        known = self._verdicts.get(token)
        if known is not None and now < known[1]:
            return known[0]
        self._verdicts.pop(token, None)
        caller, expires = self._check(token, now)
        _make_room(self._verdicts, self._size)
        self._verdicts[token] = (caller, expires)
        return caller

    def _check(self, token: str, now: float) -> tuple[Caller, float]:
        kid, claims = self._decode(token)
        issued, expires = claims["iat"], claims["exp"]
        if not all(type(moment) in (int, float) for moment in (issued, expires)):
            raise _refusal("token_malformed", "the access token's times are not numbers")
        if now >= expires:
            raise _refusal("token_expired", "the access token has expired; get a new one")
        skew = SKEW.total_seconds()
        if issued > now + skew:
            raise _refusal("token_not_yet_valid", "the access token was issued in the future")
        if expires - issued > LIFETIME.total_seconds() + skew:
            raise _refusal("token_too_long", "the access token lives longer than five minutes")
        return _caller(kid, claims), float(expires)

    def _decode(self, token: str) -> tuple[str, dict[str, Any]]:
        if len(token) > MAX_LENGTH:
            raise _refusal("token_malformed", "the access token is too long to be one of ours")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(kid) if isinstance(kid, str) else None
            if key is None or not isinstance(kid, str):
                raise _refusal(
                    "token_unknown_key", "the access token is signed with an unknown key"
                )
            return kid, jwt.decode(token, key, ["EdDSA"], audience=AUDIENCE, options=_DECODE)
        except jwt.InvalidAudienceError:
            raise _refusal(
                "token_audience", "the access token is meant for another system"
            ) from None
        except jwt.InvalidSignatureError:
            raise _refusal("token_signature", "the access token's signature is wrong") from None
        except jwt.PyJWTError:
            raise _refusal("token_malformed", "this is not an access token of ours") from None


def _caller(kid: str, claims: Mapping[str, Any]) -> Caller:
    issuer = issuer_of(kid)
    if claims["iss"] != issuer:
        raise _refusal("token_issuer", "the access token names an issuer that did not sign it")
    try:
        kind = CallerKind(claims["kind"])
        subject, account = str(claims["sub"]), claims.get("acc")
        role = Role[claims["role"].upper()] if "role" in claims else Role.NONE
        id = UUID(account) if account is not None else None
    except (KeyError, ValueError, AttributeError, TypeError):
        raise _refusal("token_malformed", "the access token's claims make no sense") from None
    allowed = {
        CallerKind.SERVICE: subject == issuer and id is None and not role,
        CallerKind.ACCOUNT: issuer == GATEWAY and id is not None and not role,
        CallerKind.OPERATOR: issuer == GATEWAY and id is None and bool(role),
        CallerKind.ANONYMOUS: False,
    }
    if not allowed[kind]:
        raise _refusal("token_issuer", f"{issuer} may not speak for {kind.value} {subject[:80]!r}")
    return Caller(kind, subject, account=id, role=role, read_only=claims.get("ro") is True)


def _make_room(cache: dict[Any, Any], size: int) -> None:
    # Oldest first: entries live for minutes, so age is as good a guess as use.
    while len(cache) >= size:
        del cache[next(iter(cache))]


def _refusal(reason: str, message: str) -> AppError:
    return AppError(Kind.UNAUTHENTICATED, reason, message)
