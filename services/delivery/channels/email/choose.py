"""Which provider an e-mail goes through: the first that may be asked, in the operator's order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.delivery.channels.email.limits import Pace
from services.delivery.channels.email.mail import Answer, Provider
from services.delivery.domain.email_codes import Kind

# Why an e-mail waits: stable words.
RATE_LIMITED = "rate_limited"
BREAKER_OPEN = "breaker_open"

# Seconds, where a provider does not say for how long it is too much.
_SLOW_DOWN = 10.0
_QUOTA = 900.0
# What says that a provider, and not a message, is at fault.
_FAULTS = frozenset({Kind.RETRY, Kind.CONFIGURATION})


class Breaker(Protocol):
    """Keeps a provider that fails from being asked over and over."""

    async def wait(self) -> float:
        """0.0 where it may be asked, which is then a probe if it had failed; else seconds."""
        ...

    async def record(self, success: bool) -> None:
        """What came of asking."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """A provider with what keeps us from asking it too often."""

    provider: Provider
    pace: Pace
    breaker: Breaker


@dataclass(frozen=True, slots=True)
class Blocked:
    """No provider may be asked now: why, and after how many seconds the first may."""

    reason: str
    seconds: float


class Choice:
    """Goes through the providers for one e-mail. After `next_route` answered None, `blocked` says
    when it is worth trying again; it is None where every provider was asked."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes: Iterator[Route] = iter(routes)
        self.blocked: Blocked | None = None

    async def next_route(self) -> Route | None:
        """The next provider that may be asked now."""
        for route in self._routes:
            # The pace first: a probe that were let through, and had to wait, would be in the way.
            seconds, reason = route.pace.take(), RATE_LIMITED
            if not seconds:
                seconds, reason = await route.breaker.wait(), BREAKER_OPEN
            if not seconds:
                return route
            if self.blocked is None or seconds < self.blocked.seconds:
                self.blocked = Blocked(reason, seconds)
        return None


class Routes:
    """All providers, in the operator's order."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)

    @property
    def configured(self) -> bool:
        """Whether anything sends e-mail at all."""
        return bool(self._routes)

    def choice(self, only: str = "") -> Choice:
        """For one e-mail; through the provider called `only` alone, where there is one."""
        chosen = [route for route in self._routes if route.provider.name == only]
        return Choice(chosen or self._routes)

    async def close(self) -> None:
        """Closes what the providers keep open."""
        for route in self._routes:
            await route.provider.close()


async def learn(route: Route, answer: Answer) -> None:
    """Has the provider's breaker and pace follow from an answer."""
    refusal = answer.refusal
    if refusal is None:
        await route.breaker.record(success=True)
        return
    if refusal.code.kind is Kind.RATE:
        route.pace.slow_down(pause_of(answer))
        return
    # What is wrong with a message or a recipient shows that the provider is there.
    at_fault = refusal.code.elsewhere and refusal.code.kind in _FAULTS
    await route.breaker.record(success=not at_fault)


def pause_of(answer: Answer) -> float:
    """Seconds for which a provider that found it too much is left alone."""
    refusal = answer.refusal
    used_up = refusal is not None and refusal.code.name == "email_provider_quota_exceeded"
    return answer.retry_after or (_QUOTA if used_up else _SLOW_DOWN)
