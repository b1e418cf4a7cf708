"""What docs/webhooks.md shows is run as it stands there."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.json_format import MessageToJson
from pyreqwest.client import ClientBuilder

from gateway.cli.exits import Exit
from gateway.cli.output import Output
from gateway.cli.webhooks.check.command import check
from pq.delivery.v1 import delivery_pb2 as pb
from services.delivery.domain import signing
from services.delivery.domain.schedule import DEFAULT_DELAYS
from services.delivery.domain.settings import ORDERED_DELAYS
from tests.integration.delivery.receiver import Receiver, answer

PAGE = Path(__file__).resolve().parents[3] / "docs" / "webhooks.md"
SECRET = signing.encode_secret(b"k" * 32)
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(3)]
BODY = '{"type":"alert.triggered","data":{"reason":"Pokémon"}}'.encode()
RECEIVERS = {
    "receiver.py": [sys.executable],
    "receiver.mjs": ["node"],
    "receiver.go": ["go", "run"],
}
SCRIPTS = {"v1.sh": ["bash", "-eu"], "v1a.sh": ["bash", "-eu"], "v1a.py": [sys.executable]}
START, ENDS = 300.0, 20.0  # a first `go run` builds the standard library


def public(key: Ed25519PrivateKey) -> str:
    return signing.encode_public_key(key.public_key().public_bytes_raw())


def snippet(name: str, folder: Path) -> Path:
    found = re.findall(
        rf"<!-- run: {re.escape(name)} -->\n```\w+\n(.*?)```\n", PAGE.read_text(), re.DOTALL
    )
    assert len(found) == 1, name
    file = folder / name
    file.write_text(found[0])
    return file


def command(argv: list[str], file: Path) -> list[str]:
    tool = shutil.which(argv[0])
    if tool is None:
        pytest.skip(f"{argv[0]} is not installed here")
    return [tool, *argv[1:], str(file)]


def headers(*, at: float | None = None, keys=(b"k" * 32,), signers=KEYS[:1]) -> dict[str, str]:
    timestamp = int(time.time() if at is None else at)
    signs = [key.sign for key in signers]
    return signing.headers("msg_1", timestamp, BODY, keys, signs)


@asynccontextmanager
async def running(name: str, folder: Path, **environment: str):
    """The receiver of that name; yields its URL."""
    argv = command(RECEIVERS[name], snippet(name, folder))
    async with Receiver() as reserved:  # a port that was free a moment ago
        port = reserved.port
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=os.environ
        | {"PORT": str(port), "PQ_WEBHOOK_SECRET": SECRET, "GOTOOLCHAIN": "local", "GOFLAGS": ""}
        | environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await _listens(port, process)
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        os.killpg(process.pid, 9)  # `go run` has a child
        await process.wait()


async def _listens(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
    raise AssertionError(f"it ended with {process.returncode}")


@pytest.mark.parametrize("name", RECEIVERS)
async def test_each_receiver_passes_the_conformance_kit(name, tmp_path, capsys):
    async with running(name, tmp_path, PQ_WEBHOOK_PUBLIC_KEY=public(KEYS[0])) as url:
        code = await check(Output(), url=url, secret=SECRET, event_type="alert.triggered")
        assert code is Exit.OK, capsys.readouterr().out
        if name == "receiver.py":  # which takes v1 alone
            return
        async with ClientBuilder().no_proxy().build() as client:
            answers = {}
            for case, told in {
                "v1a alone": headers(keys=()),
                "another's v1a": headers(keys=(), signers=KEYS[1:2]),
                "old v1a": headers(keys=(), at=time.time() - 3600),
            }.items():
                request = client.post(url).headers(told).body_bytes(BODY).build()
                answers[case] = (await request.send()).status
    assert answers == {"v1a alone": 204, "another's v1a": 400, "old v1a": 400}


async def run_script(name: str, folder: Path, body: bytes, told: dict[str, str], api: str) -> int:
    (folder / "body").write_bytes(body)
    process = await asyncio.create_subprocess_exec(
        *command(SCRIPTS[name], snippet(name, folder)),
        cwd=folder,
        env=os.environ
        | {
            "ID": told["webhook-id"],
            "TIMESTAMP": told["webhook-timestamp"],
            "SIGNATURE": told["webhook-signature"],
            "PQ_WEBHOOK_SECRET": SECRET,
            "PUBLIC_KEYS": " ".join(map(public, KEYS[:2])),
            "API": api,
            "ENDPOINT": "ep_1",
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(ENDS):
        return await process.wait()


def published() -> str:
    keys = [pb.WebhookKey(public_key=public(key), algorithm="ed25519") for key in KEYS[:2]]
    return MessageToJson(pb.WebhookKeys(endpoint="endpoints/ep_1", keys=keys))


@pytest.mark.parametrize("name", SCRIPTS)
async def test_each_script_tells_genuine_from_forged(name, tmp_path):
    for tool in ("openssl", "curl"):
        if name.endswith(".sh") and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed here")
    both = {"keys": (b"o" * 32, b"k" * 32), "signers": [KEYS[2], KEYS[1]]}
    cases = {
        "genuine": (BODY, headers(), 0),
        "while rotated": (BODY, headers(**both), 0),
        "tampered": (BODY + b" ", headers(), 1),
        "another's": (BODY, headers(keys=(b"o" * 32,), signers=KEYS[2:]), 1),
        "old": (BODY, headers(at=time.time() - 3600), 1),
        "of the future": (BODY, headers(at=time.time() + 3600), 1),
    }
    keys = answer(200, published().encode())
    async with Receiver(paths={"/.well-known/webhook-keys/ep_1": keys}) as gateway:
        api = gateway.url().rstrip("/")
        found = {
            case: await run_script(name, tmp_path, body, told, api)
            for case, (body, told, _) in cases.items()
        }
    assert found == {case: expected for case, (_, _, expected) in cases.items()}


def test_every_snippet_that_is_marked_is_run():
    marked = re.findall(r"<!-- run: (\S+) -->", PAGE.read_text())
    assert sorted(marked) == sorted([*RECEIVERS, *SCRIPTS])


def test_the_schedule_is_that_of_the_code():
    table = PAGE.read_text().partition("<!-- schedule -->")[2].partition("<!-- /schedule -->")[0]
    rows = re.findall(r"^\| (\d+) \| (\d+) (s|min|h) \|$", table, re.MULTILINE)
    units = {"s": 1, "min": 60, "h": 3600}
    assert [int(n) for n, _, _ in rows] == list(range(1, len(DEFAULT_DELAYS) + 1))
    assert tuple(float(value) * units[unit] for _, value, unit in rows) == DEFAULT_DELAYS
    assert ORDERED_DELAYS == (5.0, 30.0, 120.0, 300.0)
    assert "5 s, 30 s, 2 min, 5 min" in PAGE.read_text()


def test_the_key_form_is_the_standards():
    assert public(KEYS[0]).startswith("whpk_")
    assert len(base64.b64decode(public(KEYS[0]).removeprefix("whpk_"))) == 32
