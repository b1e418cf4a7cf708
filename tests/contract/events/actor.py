"""One process of a service, to be killed: `actor.py ROLE LOG_URL DSN TOPIC_NAME`."""

from __future__ import annotations

import asyncio
import random
import sys

from libs.db import is_transient
from tests.contract.events.world import World, catalog, event, writing


async def produce(here: World, dsn: str) -> None:
    """Publishes without end, and keeps its own account of what was committed, in order."""
    db = await here.connect(dsn)
    while True:
        try:
            async with db.transaction() as tx:
                for _ in range(random.randint(1, 30)):
                    key = f"k{random.randint(0, 11)}"
                    value = await tx.fetchval(
                        "insert into published (key, value) values ($1, 1) on conflict (key)"
                        " do update set value = published.value + 1 returning value",
                        f"accounts/{key}",
                    )
                    tx.publish(event(key, value))
        except Exception as error:
            if not is_transient(error):
                raise
            await asyncio.sleep(0.05)  # the database is away: nothing to wait on but time
        await asyncio.sleep(0.005)


async def relay(here: World, dsn: str) -> None:
    await here.relay(await here.connect(dsn), here.log()).task  # type: ignore[attr-defined]


async def consume(here: World, dsn: str) -> None:
    db = await here.connect(dsn)
    await here.consumer(db, here.log(), handler=writing("test.one")).task  # type: ignore[attr-defined]


async def main() -> None:
    role, log_url, dsn, name = sys.argv[1:]

    async def no_more() -> str:
        raise AssertionError("an actor makes no databases")

    here = World(log_url, catalog(name), no_more)
    await {"produce": produce, "relay": relay, "consume": consume}[role](here, dsn)


if __name__ == "__main__":
    asyncio.run(main())
