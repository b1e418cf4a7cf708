"""What both engines must do while all is well."""

from __future__ import annotations

from tests.contract.events.world import (
    World,
    event,
    handled,
    publish,
    until_handled,
)


async def test_every_event_arrives_once_and_in_the_order_of_its_key(here: World) -> None:
    """From publish() to a handler's committed transaction."""
    producer, consumer = await here.service(), await here.service()
    log = here.log()
    here.relay(producer, log)
    here.consumer(consumer, log)
    for value in range(20):
        await publish(producer, *(event(f"k{key}", value) for key in range(10)))
    await until_handled(consumer, 200)
    assert await handled(consumer) == {f"accounts/k{key}": list(range(20)) for key in range(10)}
    assert await producer.fetchval("select count(*) from event_outbox") == 0
