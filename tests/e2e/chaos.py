"""Kills parts of a running product at random, and remembers when."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.e2e.product import Product
from tests.kafka.broker import JarBroker


@dataclass
class Chaos:
    """`victims` are services, "postgres" or "kafka"."""

    product: Product
    dice: random.Random
    victims: Sequence[str]
    broker: JarBroker | None = None
    kills: list[tuple[float, str]] = field(default_factory=list)

    async def rage(self, kills: int) -> None:
        """Kills so many times. The pauses are the randomness that is asked for."""
        while len(self.kills) < kills:
            await asyncio.sleep(self.dice.uniform(0.1, 1.5))
            victim = self.dice.choice(self.victims)
            if victim == "kafka" and self.broker is not None:
                self._note(victim)
                self.broker.kill()
                await asyncio.sleep(self.dice.uniform(0, 1))
                await asyncio.to_thread(self.broker.start)
            elif self.product.signal(victim):
                self._note(victim)

    def _note(self, victim: str) -> None:
        self.kills.append((time.monotonic(), victim))

    def explains(self, victims: set[str], first: float, again: float, reach: float) -> bool:
        """Whether one of `victims` died between `first`, less `reach` seconds, and `again`."""
        return any(name in victims and first - reach <= at <= again for at, name in self.kills)
