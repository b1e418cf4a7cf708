"""A real PostgreSQL for a test session, and fresh databases on it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

from libs.local.postgres import FORGETFUL, EmbeddedPostgres


@contextmanager
def running(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server on `folder`, which forgets on power loss what it need not remember in tests."""
    server = EmbeddedPostgres(folder, settings=FORGETFUL)
    server.start()
    try:
        asyncio.run(server.ready())
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def fresh_database(server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The DSN of a new, empty database, which is dropped afterwards."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(server.dsn("postgres"))
    try:
        await admin.execute(f"create database {name} template template0 strategy wal_log")
        try:
            yield server.dsn(name)
        finally:
            await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()
