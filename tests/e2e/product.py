"""The whole product as a person runs it: `pq up` in a process of its own, and its public faces."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import httpx

from libs.local.ports import free_ports
from pq.market.v1 import imports_pb2, imports_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
PQ = Path(sys.executable).with_name("pq")
QUICK_RETRIES = "0.3,0.5,1,2,3,5,5,5,5,5,5,5,5"
CSV_HEAD = "date,category,group_id,product_id,subtype,market,low,mid,high,direct_low"


class Product:
    """A running product on a folder of its own."""

    def __init__(self, home: Path, event_log: str = "", **environment: str) -> None:
        self.home = home
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.said: list[str] = []
        self.clients: list[Client] = []
        self._environment = {
            **os.environ,
            "PQ_HOME": str(home),
            "PQ_GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "PQ_EVENT_LOG": event_log,
            "PQ_DELIVERY_RETRY_DELAYS": QUICK_RETRIES,
            "PQ_DELIVERY_LEASE_LIFETIME": "2",
            "PQ_GATEWAY_LIMIT_SIGNUPS": "1000/60",
            "PQ_GATEWAY_LIMIT_WRITES": "100000/60",
            "PQ_GATEWAY_LIMIT_READS": "100000/60",
            **environment,
        }

    async def start(self, timeout: float = 60) -> None:
        """Returns once the product says that it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            *(str(PQ), "up", "--no-demo-market", "--json"),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        ready = asyncio.Event()
        self._reader = asyncio.create_task(self._read(ready))
        waiting = asyncio.create_task(ready.wait())
        done, _ = await asyncio.wait(
            {self._reader, waiting}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()
        assert waiting in done, "the product did not get ready:\n" + "\n".join(self.said[-20:])

    async def _read(self, ready: asyncio.Event) -> None:
        while line := await self._process.stdout.readline():
            text = line.decode().rstrip()
            self.said.append(text)
            if text.startswith("{") and json.loads(text).get("ready"):
                ready.set()

    async def stop(self, timeout: float = 60) -> int:
        """Asks it to stop as Ctrl-C does; answers the exit status."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        status = await asyncio.wait_for(self._process.wait(), timeout)
        await self._reader
        return status

    @property
    def supervisor_pid(self) -> int:
        """The process of `pq up`."""
        return self._process.pid

    def pids(self) -> dict[str, int]:
        """Which processes run now."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.home / "run" / "processes.json").read_text())
            return {name: entry["pid"] for name, entry in found.items()}
        return {}

    def signal(self, name: str, number: int = signal.SIGKILL) -> bool:
        """Sends a signal to one part; False where it is not running just now."""
        pid = self.pids().get(name)
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    @property
    def endpoints(self) -> dict[str, Any]:
        """What endpoints.json says."""
        return json.loads((self.home / "run" / "endpoints.json").read_text())

    @property
    def admin_token(self) -> str:
        return (self.home / "secrets" / "admin-token").read_text().strip()


@contextlib.asynccontextmanager
async def running(home: Path, event_log: str = "", **environment: str) -> AsyncIterator[Product]:
    """A product that is stopped afterwards, and must then have ended well."""
    product = Product(home, event_log, **environment)
    await product.start()
    try:
        yield product
    finally:
        for client in product.clients:
            await client.close()
        status = await product.stop()
    assert status == 0, "\n".join(product.said[-20:])


class RefusedError(AssertionError):
    """The product answered, and the answer was no."""


async def eventually(condition: Callable[[], bool], timeout: float) -> None:
    """Waits until a condition that tells nobody of its change holds."""
    ends = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.05)


async def patiently(
    attempt: Callable[[], Awaitable[Any]], timeout: float = 90, pause: float = 0.1
) -> Any:
    """Tries until it works, as a client with patience does; what is refused is not tried again."""
    ends = time.monotonic() + timeout
    while True:
        try:
            return await attempt()
        except (httpx.TransportError, grpc.aio.AioRpcError, ConnectionError, OSError) as error:
            if isinstance(error, grpc.aio.AioRpcError) and error.code() not in RETRIED:
                raise
            if time.monotonic() > ends:
                raise
            await asyncio.sleep(pause)


RETRIED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    # An access token may have been minted by a gateway that died before it answered; and a server
    # that is being killed may cut a stream in the middle.
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.ABORTED,
}


class Client:
    """A person with a token and patience."""

    def __init__(self, product: Product, token: str = "", name: str = "anon") -> None:
        self._http = httpx.AsyncClient(base_url=product.url, timeout=10, trust_env=False)
        self.token = token
        self.name = name
        self._run = uuid.uuid4().hex
        self._calls = 0
        product.clients.append(self)

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request, repeated with the same Idempotency-Key until there is an answer."""
        self._calls += 1
        headers = {}
        if method != "GET":
            headers["idempotency-key"] = f"{self._run}-{self._calls}"
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"

        async def attempt() -> Any:
            answer = await self._http.request(
                method, path, json=body, headers=headers, params=query
            )
            if answer.status_code in (409, 429, 502, 503, 504):
                raise ConnectionError(answer.text)
            if answer.status_code >= 400:
                raise RefusedError(f"{method} {path}: {answer.status_code} {answer.text}")
            return answer.json()

        return await patiently(attempt)

    async def everything(self, path: str, field: str, **query: Any) -> list[Any]:
        """All pages of a list."""
        found, token = [], ""
        while True:
            page = await self.call("GET", path, pageSize=500, pageToken=token, **query)
            found += page[field]
            if not (token := page["nextPageToken"]):
                return found


async def sign_up(product: Product, name: str) -> Client:
    """A new account's client."""
    made = await Client(product).call("POST", "/v1/accounts", {"displayName": name})
    return Client(product, made["token"], name)


def csv_of(day: str, prices: Mapping[int, int | None]) -> bytes:
    """A price file: product id to cents, one printing each."""
    lines = [CSV_HEAD]
    for product, cents in prices.items():
        market = "" if cents is None else f"{cents // 100}.{cents % 100:02}"
        lines.append(f"{day},pokemon,1,{product},Normal,{market},,,,")
    return gzip.compress("\n".join(lines).encode() + b"\n", mtime=0)


class Importer:
    """Sends price files by gRPC as an operator's tool does: again and again until accepted."""

    def __init__(self, product: Product, source: str = "tcgplayer") -> None:
        self._product = product
        self._source = source
        self._client = Client(product, product.admin_token, "importer")

    async def send(self, day: str, data: bytes, timeout: float = 120) -> imports_pb2.Import:
        """The accepted import."""

        async def attempt() -> imports_pb2.Import:
            exchanged = await self._client.call("POST", "/v1/tokens:exchange", {})
            metadata = [("authorization", f"Bearer {exchanged['accessToken']}")]
            target = self._product.endpoints["services"]["market"]["target"]
            async with grpc.aio.insecure_channel(target) as channel:
                stub = imports_pb2_grpc.ImportServiceStub(channel)
                return await stub.ImportFile(self._parts(day, data), metadata=metadata, timeout=20)

        return await patiently(attempt, timeout)

    def _parts(self, day: str, data: bytes) -> Sequence[imports_pb2.ImportFileRequest]:
        part = imports_pb2.ImportFileRequest
        header = {"kind": "IMPORT_KIND_PRICES", "source": self._source, "day": day}
        return [
            part(header={**header, "file_name": f"{day}.csv.gz"}),
            *(part(chunk=data[at : at + 65536]) for at in range(0, len(data), 65536)),
            part(trailer={"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}),
        ]


def walk(
    seed: int, products: Sequence[int], days: Sequence[str]
) -> list[tuple[str, dict[int, int | None]]]:
    """Prices that move now and then, with gaps: (day, {product: cents, or None for no quote})."""
    dice = random.Random(seed)
    price = {product: dice.randint(100, 5000) for product in products}
    found = []
    for day in days:
        rows: dict[int, int | None] = {}
        for product in products:
            chance = dice.random()
            if chance < 0.4:
                move = dice.choice([0.7, 0.85, 0.95, 1.05, 1.15, 1.4])
                price[product] = max(5, round(price[product] * move))
            if chance < 0.9:
                rows[product] = None if chance > 0.85 else price[product]
        found.append((day, rows))
    return found
