"""Who calls: the seam between HTTP and the room that keeps tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from libs.auth import ANONYMOUS, Caller


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request speaks for, and the short-lived access token that tells the services so.

    `jwt` is empty for the anonymous; else it has at least a deadline's worth of life ahead.
    """

    caller: Caller
    jwt: str = ""


NOBODY = Identity(ANONYMOUS)


class Authenticator(Protocol):
    """Tells who holds a token. This runs for each request: the implementation caches."""

    async def authenticate(self, authorization: str | None) -> Identity:
        """The identity behind the value of an Authorization header; None makes the anonymous.

        Raises AppError UNAUTHENTICATED for a token that is malformed, unknown, expired or revoked,
        and UNAVAILABLE where that cannot be found out just now.
        """
        ...
