"""The gateway as a process, on a real database and a real log."""

import asyncio
import contextlib
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from libs.clock import SystemClock
from libs.events.engines import open_log
from libs.events.record import Record
from libs.testing.rpc import TestKeys
from pq.market.v1.market_events_pb2 import SnapshotPublished
from tests.contract.gateway.serving import Canned, Response, behind, parse, until

ROOT = Path(__file__).parents[3]
JSON = {"Content-Type": "application/json"}


class Gateway:
    def __init__(self, process, port):
        self.process, self.port = process, port

    async def ask(self, method, target, headers=None, body=b"") -> Response:
        sent = {"Host": "t", "Connection": "close", "Content-Length": len(body), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        try:
            return parse(await asyncio.wait_for(reader.read(), 20), method)
        finally:
            writer.close()

    async def serves(self, target="/v1/cards"):
        with contextlib.suppress(OSError):
            return (await self.ask("GET", target)).status == 200
        return False


@pytest.fixture
async def market():
    canned = Canned()
    server, port = await behind(canned)
    canned.port, canned.server = port, server
    yield canned
    await server.stop(None)


@pytest.fixture
async def start(tmp_path, empty_database):
    keys = TestKeys(tmp_path / "keys", SystemClock())
    (tmp_path / "page").write_bytes(b"p" * 32)
    running = []

    async def start(market_port, port, **changed):
        environ = {
            "PATH": os.environ["PATH"],
            "PQ_DATABASE_URL": empty_database,
            "PQ_EVENT_LOG": empty_database,
            "PQ_AUTH_KEYS": str(keys.public),
            "PQ_SIGNING_KEY": str(keys.private / "gateway.pem"),
            "PQ_PAGE_TOKEN_KEY": str(tmp_path / "page"),
            "PQ_GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "PQ_DRAIN_NOTICE": "0.1",
            **{
                f"PQ_{name}_TARGET": f"dns:///127.0.0.1:{market_port}"
                for name in ("MARKET", "ALERTS", "DELIVERY")
            },
            **changed,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", cwd=ROOT, env=environ, stderr=asyncio.subprocess.PIPE
        )
        running.append(process)
        return Gateway(process, port)

    yield start
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_signing_up_and_what_a_token_opens(start, market, port):
    gateway = await start(market.port, port)
    await until(gateway.serves, 20)

    async def sign_up():
        return (await gateway.ask("POST", "/v1/accounts", JSON, b"{}")).status == 200

    await until(sign_up, 20)  # the database may still be on its way
    made = (await gateway.ask("POST", "/v1/accounts", JSON, b'{"displayName":"Ada"}')).json
    token = {"Authorization": f"Bearer {made['token']}"}
    me = await gateway.ask("GET", "/v1/accounts/me", token)
    assert (me.status, me.json["displayName"]) == (200, "Ada")
    other = (await gateway.ask("POST", "/v1/accounts", JSON, b"{}")).json["account"]["name"]
    assert (await gateway.ask("GET", f"/v1/{other}", token)).status == 404
    assert (await gateway.ask("GET", "/v1/alerts", token)).status == 200
    assert market.calls[-1][2]["authorization"].count(".") == 2  # a JWT
    mistyped = made["token"][:-1] + ("1" if made["token"].endswith("0") else "0")
    for wrong in (mistyped, made["token"].swapcase(), "pq_acc_", "x" * 5_000):
        refused = await gateway.ask("GET", "/v1/alerts", {"Authorization": f"Bearer {wrong}"})
        assert (refused.status, refused.json["reason"][:5]) == (401, "token")
    too_long = await gateway.ask(
        "POST", "/v1/accounts", JSON, b'{"displayName":"%s"}' % (b"x" * 101)
    )
    assert too_long.json["violations"][0]["field"] == "account.displayName"


async def test_a_snapshot_empties_the_cache(start, market, port, empty_database):
    gateway = await start(market.port, port)
    await until(lambda: gateway.serves("/v1/cards/pokemon-1-holofoil"), 20)
    log = open_log(empty_database)
    await until(lambda: _follows(gateway, market), 20)
    market.calls.clear()
    event = SnapshotPublished(market="all")
    record = Record(
        uuid4(), "pq.market.snapshots.v1", 0, "all", str(event.DESCRIPTOR.full_name),
        datetime.now(UTC), "/pq/market", event.SerializeToString(),
    )  # fmt: skip
    producer = await log.produce(uuid4())
    await producer.append([record])

    async def asked_again():
        await gateway.serves("/v1/cards/pokemon-1-holofoil")
        return bool(market.calls)

    # Without the event this answer would be kept for half a minute.
    await until(asked_again, 10)
    await log.close()


async def _follows(gateway, market):
    """Whether answers outlive the time they are kept without the log."""
    await gateway.serves("/v1/cards/pokemon-1-holofoil")
    before = len(market.calls)
    await asyncio.sleep(2.5)  # time is what is tested: longer than an answer is kept alone
    await gateway.serves("/v1/cards/pokemon-1-holofoil")
    return len(market.calls) == before


async def test_it_ends_in_good_order_and_frees_its_port(start, market, port):
    go = asyncio.Event()
    gateway = await start(market.port, port)
    await until(gateway.serves, 20)
    slow = market.answers["GetCard"]

    async def waits(request, metadata):
        await go.wait()
        return await slow(request, metadata)

    market.answers["GetCard"] = waits
    asking = asyncio.create_task(gateway.ask("GET", "/v1/cards/pokemon-9-holofoil"))
    await until(lambda: market.calls[-1][0] == "GetCard", 10)
    gateway.process.send_signal(signal.SIGTERM)

    async def refuses():
        return not await gateway.serves()

    await until(refuses, 10)
    assert not asking.done()
    go.set()
    assert (await asking).status == 200
    assert await asyncio.wait_for(gateway.process.wait(), 20) == 0


async def test_a_taken_port_is_one_line_and_no_second_server(start, market, port):
    first = await start(market.port, port)
    await until(first.serves, 20)
    second = await start(market.port, port)
    _, told = await asyncio.wait_for(second.process.communicate(), 20)
    assert second.process.returncode == 1
    assert str(port).encode() in told
    assert b"Traceback" not in told
