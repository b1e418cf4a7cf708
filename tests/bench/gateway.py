"""The gateway: reads from memory, what it adds to a gRPC call, and Envoy's transcoder beside it.

The load comes from this process by keep-alive connections; the gateway has a core of its own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil
import uvloop

from gateway.accounts import secrets
from libs.auth import Caller
from libs.rpc.client import plain_channel
from pq.market.v1 import market_pb2, market_pb2_grpc
from tests.bench import Row
from tests.bench._envoy import EnvoyMissingError, envoy
from tests.bench._gateway_parts import ACCOUNT, keys

TEN_KILOBYTES = "/v1/cards?pageSize=24"  # of the canned cards
# Each connection asks for another: the gateway would make one call of equal reads at once.
ONE_CARD = "/v1/cards/pokemon-{}-holofoil"
LIST = "/v1/cards?pageSize=250&filter={}"
SECONDS = 4.0
SINGLES = 1_500


async def run(scale: int) -> list[Row]:
    """`scale` multiplies the connections of the cached read."""
    # The load must not be the slow part: it runs on uvloop, which this loop may not be.
    return await asyncio.to_thread(lambda: uvloop.run(_measure(scale)))


async def _measure(scale: int) -> list[Row]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        secret = secrets.mint(secrets.ACCOUNT)
        Path(folder, "secret").write_text(secret)
        jwt = keys(Path(folder)).token(Caller.for_account(ACCOUNT))
        port, _ = await stack.enter_async_context(part("backend", folder, core="1"))
        target = f"127.0.0.1:{port}"
        rows = await _cached(folder, target, scale)
        if scale == 1:
            rows += await _added(folder, target, secret, jwt)
            rows += await _against_envoy(folder, target)
        return rows


# --- what is measured


async def _cached(folder: str, target: str, scale: int) -> list[Row]:
    connections = 16 * scale
    note = f"{connections} connections, one core for the gateway"
    async with part("gateway", folder, target, str(2**26), core="0") as (port, process):
        size = len(await _get(port, TEN_KILOBYTES))
        rate, busy = await load(port, TEN_KILOBYTES, connections, SECONDS, process)
        rows = [
            Row("gateway.cached_read", scale, rate, "1/s", 20_000, note=f"{size:,} bytes; {note}"),
            Row("gateway.cached_read_cpu", scale, busy / rate * 1e6, "µs each", note=note),
        ]
        if scale == 1:
            memory = process.memory_info().rss / 2**20
            rows.append(Row("gateway.memory", scale, memory, "MiB", note="after the cached reads"))
    if scale == 1 and shutil.which("nginx"):
        async with nginx(folder, size) as (port, process):
            rival, _ = await load(port, "/answer.json", connections, SECONDS, process)
        rows[0] = Row(
            "gateway.cached_read", scale, rate, "1/s", min(20_000, rival / 3),
            rival="nginx", rival_value=rival, note=rows[0].note,
        )  # fmt: skip
    return rows


async def _added(folder: str, target: str, secret: str, jwt: str) -> list[Row]:
    """Direct calls and calls through the gateway take turns, so that both meet the same noise."""
    async with part("gateway", folder, target, "0", core="0") as (port, _):
        channel = plain_channel(f"dns:///{target}")
        stub = market_pb2_grpc.MarketServiceStub(channel)
        request = market_pb2.GetCardRequest(name=ONE_CARD.format(7).removeprefix("/v1/"))
        rows = []
        for name, token, limit in (("", "", 0.5), ("_authenticated", jwt, 0.7)):
            metadata = [("authorization", f"Bearer {token}")] if token else []
            sent = {"Authorization": f"Bearer {secret}"} if token else {}
            connection = await Connection.open(port)

            async def direct(metadata: list[tuple[str, str]] = metadata) -> None:
                await stub.GetCard(request, metadata=metadata, timeout=5)

            async def through(
                connection: Connection = connection, sent: dict[str, str] = sent
            ) -> None:
                await connection.get(ONE_CARD.format(7), sent)

            straight, around = await _in_turns(direct, through)
            added = (median(around) - median(straight)) * 1e3
            note = f"direct {median(straight) * 1e3:.2f} ms, p99 {p99(straight):.2f}; "
            note += f"through {median(around) * 1e3:.2f} ms, p99 {p99(around):.2f}"
            rows.append(
                Row(f"gateway.added_p50{name}", 1, added, "ms", limit, at_least=False, note=note)
            )
            connection.close()
        await channel.close()
        return rows


async def _against_envoy(folder: str, target: str) -> list[Row]:
    try:
        async with AsyncExitStack() as stack:
            theirs, _ = await stack.enter_async_context(envoy(folder, target))
            ours, process = await stack.enter_async_context(part("gateway", folder, target, "0"))
            rows = []
            for name, path, connections, share in (
                ("one_card_1", ONE_CARD, 1, 0.8),
                ("one_card_32", ONE_CARD, 32, 0.8),
                ("list_250_1", LIST, 1, 1.2),
                ("list_250_32", LIST, 32, 1.2),
            ):
                rates: dict[int, list[float]] = {ours: [], theirs: []}
                for _ in range(3):
                    for port, found in rates.items():
                        rate, _ = await load(port, path, connections, SECONDS / 3, process)
                        found.append(rate)
                rival = median(rates[theirs])
                rows.append(
                    Row(
                        f"gateway.{name}",
                        1,
                        median(rates[ours]),
                        "1/s",
                        share * rival,
                        rival="Envoy",
                        rival_value=rival,
                        note=f"{connections} connections, no cache",
                    )
                )
            return rows
    except EnvoyMissingError as error:
        return [
            Row("gateway.one_card_1", 1, 0, "1/s", rival="Envoy", note=f"not measured: {error}")
        ]


async def _in_turns(
    *ways: Callable[[], Awaitable[None]],
) -> tuple[list[float], ...]:
    took: tuple[list[float], ...] = tuple([] for _ in ways)
    for turn in range(SINGLES + 100):
        for way, times in zip(ways, took, strict=True):
            began = time.perf_counter()
            await way()
            if turn >= 100:
                times.append(time.perf_counter() - began)
    return took


def p99(times: list[float]) -> float:
    """In milliseconds."""
    return quantiles(times, n=100)[98] * 1e3


# --- the load


class Connection:
    """One keep-alive connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        sent = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: b\r\n{sent}\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if length:
            return await self._reader.readexactly(int(length))
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += await self._reader.readexactly(size)
            await self._reader.readline()
        await self._reader.readline()
        return body

    def close(self) -> None:
        self._writer.close()


async def _get(port: int, path: str) -> bytes:
    connection = await Connection.open(port)
    try:
        return await connection.get(path)
    finally:
        connection.close()


class _Asker(asyncio.Protocol):
    """Asks again whenever the answer's end has come: the cheapest load there is in Python."""

    def __init__(self, request: bytes, end: bytes) -> None:
        self._request, self._end = request, end
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._tail = b""
        self._transport.write(self._request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        tail = data if len(data) >= len(self._end) else self._tail + data
        if tail.endswith(self._end):
            self.answers += 1
            self._tail = b""
            self._transport.write(self._request)
        else:
            self._tail = tail[-len(self._end) :]


async def load(
    port: int, path: str, connections: int, seconds: float, process: psutil.Process
) -> tuple[float, float]:
    """Answers a second, and the CPU seconds that `process` used a second."""
    askers = [await _asker(port, path.format(number)) for number in range(connections)]
    await asyncio.sleep(0.5)
    count, cpu, began = sum(a.answers for a in askers), _cpu(process), time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    rate = (sum(a.answers for a in askers) - count) / took
    busy = (_cpu(process) - cpu) / took
    for asker in askers:
        asker.close()
    await asyncio.sleep(0.1)
    return rate, busy


async def _asker(port: int, path: str) -> _Asker:
    body = await _get(port, path)
    request = f"GET {path} HTTP/1.1\r\nHost: b\r\n\r\n".encode()
    end = body[-64:] + (b"\r\n0\r\n\r\n" if await _is_chunked(port, request) else b"")
    loop = asyncio.get_running_loop()
    _, asker = await loop.create_connection(lambda: _Asker(request, end), "127.0.0.1", port)
    return asker


async def _is_chunked(port: int, request: bytes) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return b"transfer-encoding: chunked" in head.lower()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


# --- the processes


@asynccontextmanager
async def part(
    role: str, *arguments: str, core: str = ""
) -> AsyncIterator[tuple[int, psutil.Process]]:
    """One of our processes: its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench._gateway_parts", role, *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PQ_BENCH_CORE": core if (os.cpu_count() or 1) > 1 else ""},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        yield int(line), psutil.Process(process.pid)
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def nginx(folder: str, size: int) -> AsyncIterator[tuple[int, psutil.Process]]:
    """nginx with one worker on the gateway's core, and an answer of the same size."""
    root = Path(folder, "nginx")
    root.mkdir()
    (root / "answer.json").write_bytes(b"x" * size)
    port = _free_port()
    (root / "nginx.conf").write_text(
        f"daemon off; master_process off; worker_processes 1; pid {root}/pid; error_log stderr;"
        f"events {{ }} http {{ access_log off; keepalive_requests 100000000;"
        f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
    )
    process = await asyncio.create_subprocess_exec("nginx", "-p", root, "-c", root / "nginx.conf")
    try:
        seen = psutil.Process(process.pid)
        if hasattr(seen, "cpu_affinity"):
            seen.cpu_affinity([0])
        await _listening(port)
        yield port, seen
    finally:
        process.terminate()
        await process.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
