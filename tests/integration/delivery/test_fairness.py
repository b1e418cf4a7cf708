"""One account's flood at a receiver that hangs does not delay the others."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.delivery.domain.breaker import BreakerPolicy
from services.delivery.sending.dispatcher import Limits
from services.delivery.sending.health import HealthPolicy
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.world import until

FLOOD = 10_000
SAMPLES = 200
# The floor keeps the ratio from being about the scheduler of a machine that others use too: a
# flood that were in the way would cost whole timeouts, which are seconds.
FLOOR = 0.05
TIMEOUT = 5.0


async def _p99(world, sender, receiver, account) -> float:
    """Seconds from an event to its arrival, each with the next one behind it."""
    taken = []
    for _ in range(SAMPLES):
        before = len(receiver.at("/well"))
        begun = time.perf_counter()
        await world.tell(sender, world.fired(account))
        await receiver.wait_for(before + 1, "/well")
        taken.append(time.perf_counter() - begun)
        await asyncio.sleep(0.002)
    return sorted(taken)[int(SAMPLES * 0.99) - 1]


@pytest.mark.parametrize("breaker", [True, False], ids=["breaker", "no breaker"])
async def test_a_healthy_account_is_as_quick_while_another_floods_a_hanging_receiver(
    world, receiver, account, breaker
):
    healthy = world.ids.uuid()
    if breaker:
        world.health = HealthPolicy(BreakerPolicy(first=0.5, longest=1.0))
    receiver.paths["/hangs"] = behave.hang
    await world.endpoint(account, receiver.url("/hangs"))
    await world.endpoint(healthy, receiver.url("/well"))
    sender = await world.sender(deadline=TIMEOUT, limits=Limits())
    quiet = await _p99(world, sender, receiver, healthy)
    for _ in range(FLOOD // 500):
        await world.tell(sender, *[world.fired(account) for _ in range(500)])
    await receiver.wait_for(16, "/hangs")
    flooded = await _p99(world, sender, receiver, healthy)
    assert flooded <= 2 * max(quiet, FLOOR)

    async def nothing_is_lost():
        waiting = await world.db.fetchval("select count(*) from deliveries where state = 1")
        return bool(waiting == FLOOD)

    await until(nothing_is_lost)
