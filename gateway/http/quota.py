"""Rate limits per class of route and caller, by the generic cell rate algorithm.

GCRA keeps one number a caller (when its bucket will be full again) and lets bursts up to the quota
through. Counts are of this process: docs/adr/0023 says why that is enough for now.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass, field
from functools import lru_cache

from libs.clock import Clock
from libs.errors import AppError, Kind

MAX_CALLERS = 100_000


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `quota` requests in any `window` seconds, spread or at once."""

    name: str
    quota: int
    window: int
    header: str = field(init=False)
    interval: float = field(init=False)

    def __post_init__(self) -> None:
        """`header` is the RateLimit-Policy field (draft-ietf-httpapi-ratelimit-headers-10), and
        `interval` the seconds a request takes of the window."""
        told = f'"{self.name}";q={self.quota};w={self.window}'
        object.__setattr__(self, "header", told)
        object.__setattr__(self, "interval", self.window / self.quota)


def parse_policy(text: str, name: str = "") -> Policy:
    """Reads "600/60": a quota and seconds. Raises ValueError."""
    quota, slash, window = text.partition("/")
    if not (slash and quota.isdigit() and window.isdigit() and int(quota) and int(window)):
        raise ValueError('expected requests/seconds, such as "600/60"')
    return Policy(name, int(quota), int(window))


class Quotas:
    """Who has asked how often."""

    def __init__(self, clock: Clock, max_callers: int = MAX_CALLERS) -> None:
        self._clock = clock
        self._full_at: dict[tuple[str, str], float] = {}
        self._max_callers = max_callers

    def take(self, policy: Policy, caller: str, cost: int = 1) -> str:
        """Counts requests; answers the RateLimit field. Raises AppError RATE_LIMITED."""
        key = (policy.name, caller)
        now = self._clock.monotonic()
        interval = policy.interval
        full_at = self._full_at.get(key)
        ahead = interval * cost
        if full_at is not None and full_at > now:
            ahead += full_at - now
        # A whisker of slack: many small intervals do not add up to the window exactly.
        if ahead > policy.window + interval / 1000:
            raise self._refused(policy, ahead - policy.window)
        if full_at is None and len(self._full_at) >= self._max_callers:
            self._forget(now)
        self._full_at[key] = now + ahead
        left = int((policy.window - ahead) / interval + 1e-6)
        return f'"{policy.name}";r={left};t={math.ceil(ahead)}'

    def give_back(self, policy: Policy, caller: str) -> None:
        """Takes a request off the count again: it was let in, and could not be served."""
        key = (policy.name, caller)
        if key in self._full_at:
            self._full_at[key] -= policy.interval

    def _refused(self, policy: Policy, wait: float) -> AppError:
        told = f"more than {policy.quota} requests in {policy.window} seconds"
        metadata = {"policy": policy.name}
        return AppError(
            Kind.RATE_LIMITED, "rate_limited", told, metadata=metadata, retry_after=wait
        )

    def _forget(self, now: float) -> None:
        """Drops those whose bucket is full, and if that is not enough, those nearest to it."""
        waiting = sorted((at, key) for key, at in self._full_at.items() if at > now)
        kept = waiting[-self._max_callers // 2 :]
        self._full_at = {key: at for at, key in kept}


# A connection's address comes again with each of its requests.
@lru_cache(maxsize=4096)
def network_of(client: str) -> str:
    """What an anonymous caller is counted by: the IPv4 address, or the /64 of an IPv6 one.

    `client` is "address:port", the address of IPv6 bare or in brackets.
    """
    address = client.rpartition(":")[0].strip("[]")
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)
