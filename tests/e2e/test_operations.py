"""Bulk operations of the whole product go on where they were, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.e2e.product import Client, eventually, running, sign_up
from tests.e2e.receiver import Receiver

MESSAGES = 4000
BATCH = 1000


async def endpoint(client: Client, receiver: Receiver, path: str) -> str:
    url = f"http://127.0.0.1:{receiver.port}{path}"
    name: str = (await client.call("POST", "/v1/endpoints", {"url": url}))["name"]
    return name


async def finished(client: Client, name: str, timeout: float = 60) -> dict[str, str]:
    ends = time.monotonic() + timeout
    while True:
        found: dict[str, str] = await client.call("GET", f"/v1/{name}")
        if found["state"] != "DELIVERY_OPERATION_STATE_RUNNING":
            return found
        assert time.monotonic() < ends, found
        await asyncio.sleep(0.1)


async def test_a_replay_is_whole_although_its_process_is_killed_again_and_again(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "home") as product, Receiver() as receiver:
        client = await sign_up(product, "somebody")
        await endpoint(client, receiver, "/first")
        for start in range(0, MESSAGES, BATCH):
            requests = [
                {"message": {"eventType": "custom.note", "payload": f'{{"number":{number}}}'}}
                for number in range(start, start + BATCH)
            ]
            await client.call("POST", "/v1/messages:batchCreate", {"requests": requests})
        assert await receiver.until(lambda: len(receiver.ids) == MESSAGES, timeout=60)
        first = {arrival.id: arrival.body for arrival in receiver.arrivals}
        before = len(receiver.arrivals)

        other = await endpoint(client, receiver, "/other")
        begun = await client.call(
            "POST", f"/v1/{other}:replay", {"startTime": "2020-01-01T00:00:00Z"}
        )

        def replayed() -> int:
            return len(receiver.arrivals) - before

        for share in (0.1, 0.4, 0.7):
            assert await receiver.until(lambda: replayed() > share * MESSAGES, timeout=60)  # noqa: B023 # at once
            pid = product.pids()["delivery"]
            assert product.signal("delivery")
            await eventually(lambda: product.pids().get("delivery", pid) != pid, timeout=60)  # noqa: B023 # at once
        done = await finished(client, begun["name"])
        assert done["state"] == "DELIVERY_OPERATION_STATE_SUCCEEDED"
        assert int(done["changedCount"]) == MESSAGES

        def whole() -> bool:
            return len({a.id for a in receiver.arrivals[before:]}) == MESSAGES

        assert await receiver.until(whole, timeout=60)
        for arrival in receiver.arrivals[before:]:
            assert arrival.path == "/other"
            assert arrival.body == first[arrival.id]
        # What was under way or answered and not recorded at a kill is all that comes again.
        assert replayed() - MESSAGES < 3 * 1024
