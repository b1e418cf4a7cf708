"""Short-lived access tokens for the gRPC services, exchanged at the gateway and kept fresh."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.cli.client import Rest
from libs.clock import Clock

# A call that starts with this much left can be long.
MARGIN = timedelta(seconds=90)


class AccessTokens:
    """Answers an access token that has a while to live; exchanges anew when it is time."""

    def __init__(self, rest: Rest, clock: Clock) -> None:
        self._rest = rest
        self._clock = clock
        self._token = ""
        self._ends: datetime | None = None

    async def get(self) -> str:
        """A token with at least MARGIN ahead, where tokens live that long.

        Raises as `Rest.call` does.
        """
        if self._ends is None or self._clock.now() >= self._ends - MARGIN:
            answer = await self._rest.post("/v1/tokens:exchange", {})
            self._token = answer["accessToken"]
            self._ends = datetime.fromisoformat(answer["expireTime"])
        return self._token

    def forget(self) -> None:
        """The token was refused: the next call exchanges anew."""
        self._ends = None
