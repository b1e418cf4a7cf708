"""Messages that accounts make themselves, by REST through the whole product."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import asyncpg
import orjson
from pyreqwest.client import Client, ClientBuilder

from tests.bench import Row
from tests.bench.delivery import sink
from tests.e2e.product import Product, running, sign_up

SINGLES = 10_000
IN_FLIGHT = 64
BATCHED = 20_000
BATCH = 500
IDLE = 100
MANY = "10000000/60"
QUOTED = "measured earlier on the same size of machine: Convoy and Svix, see the peers' table"
BODY = {"eventType": "custom.bench", "payload": '{"note":"' + "x" * 440 + '"}'}


async def run(scale: int) -> list[Row]:
    """The family's rows."""
    with tempfile.TemporaryDirectory() as name, sink() as port:
        home = Path(name) / "home"
        async with running(home, PQ_GATEWAY_LIMIT_WRITES=MANY) as product:
            account = await sign_up(product, "bench")
            await account.call("POST", "/v1/endpoints", {"url": f"http://127.0.0.1:{port}/"})
            calls = Calls(product, account.token)
            await calls.singles(2000)  # connections, plans, caches
            accepted, delivered = await calls.singles(SINGLES * scale)
            batched, batch_delivered = await calls.batches(BATCHED * scale)
            alone = await sign_up(product, "alone")
            taken = await _alone(alone, Calls(product, alone.token))
            await calls.close()
    return [
        Row(
            "delivery.rest_accepted",
            scale,
            accepted,
            "1/s",
            1650,
            note="a message a call, 64 ahead",
        ),
        Row("delivery.rest_delivered", scale, delivered, "1/s", 1650, note="until recorded"),
        Row("delivery.batch_accepted", scale, batched, "1/s", 5000, note=f"REST, {BATCH} a call"),
        Row("delivery.batch_delivered", scale, batch_delivered, "1/s", note="until recorded"),
        Row(
            "delivery.call_to_receiver_p50",
            scale,
            statistics.median(taken) * 1e3,
            "ms",
            5,
            at_least=False,
            note="REST call to the receiver's socket, idle",
        ),
        Row(
            "delivery.call_to_receiver_p99",
            scale,
            taken[-1 - len(taken) // 100] * 1e3,
            "ms",
            15,
            at_least=False,
        ),
    ]


class Calls:
    """One account's calls, with nothing of a test's patience around them."""

    def __init__(self, product: Product, token: str) -> None:
        self._product = product
        self._client: Client = (
            ClientBuilder().no_proxy().http1_only().timeout(timedelta(seconds=60)).build()
        )
        self._headers = {
            "authorization": f"Bearer {token}",
            "content-type": "application/json",
        }

    async def post(self, path: str, body: bytes) -> bytes:
        """One call, which must succeed."""
        request = self._client.post(self._product.url + path).headers(self._headers)
        response = await request.body_bytes(body).build().send()
        answer = bytes(await response.bytes())
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {answer[:300]!r}")
        return answer

    async def singles(self, count: int) -> tuple[float, float]:
        """Messages a second, one a call: accepted, and delivered and recorded."""
        body = orjson.dumps(BODY)

        async def some() -> None:
            for _ in range(count // IN_FLIGHT):
                await self.post("/v1/messages", body)

        return await self._timed(count // IN_FLIGHT * IN_FLIGHT, [some() for _ in range(IN_FLIGHT)])

    async def batches(self, count: int) -> tuple[float, float]:
        """The same, many a call, two calls at a time."""
        body = orjson.dumps({"requests": [{"message": BODY}] * BATCH})

        async def some() -> None:
            for _ in range(count // BATCH // 2):
                answer = orjson.loads(await self.post("/v1/messages:batchCreate", body))
                if any(result["fault"] for result in answer["results"]):
                    raise RuntimeError("a message was refused")

        return await self._timed(count // BATCH // 2 * 2 * BATCH, [some(), some()])

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.close()

    async def _timed(self, count: int, parts: list) -> tuple[float, float]:
        database = await asyncpg.connect(self._product.endpoints["databases"]["delivery"])
        query = "select count(*) from attempts"
        try:
            before = await database.fetchval(query)
            begun = time.perf_counter()
            await asyncio.gather(*parts)
            accepted = count / (time.perf_counter() - begun)
            while await database.fetchval(query) < before + count:  # noqa: ASYNC110 # another process does it
                await asyncio.sleep(0.05)
            return accepted, count / (time.perf_counter() - begun)
        finally:
            await database.close()


async def _alone(account, calls: Calls) -> list[float]:
    """Seconds from a call to its arrival, idle in between, sorted."""
    arrived: asyncio.Queue[float] = asyncio.Queue()

    class Timing(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, _data: bytes) -> None:
            arrived.put_nowait(time.perf_counter())
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")  # type: ignore[attr-defined]

    server = await asyncio.get_running_loop().create_server(Timing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await account.call("POST", "/v1/endpoints", {"url": f"http://127.0.0.1:{port}/"})
    body, taken = orjson.dumps(BODY), []
    for _ in range(IDLE):
        begun = time.perf_counter()
        await calls.post("/v1/messages", body)
        taken.append(await arrived.get() - begun)
        await asyncio.sleep(0.05)
        while not arrived.empty():  # a request that came in two parts
            arrived.get_nowait()
    server.close()
    await calls.close()
    return sorted(taken)
