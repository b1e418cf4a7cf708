"""A pool of connections, and which of the server's errors pass."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias

import asyncpg
from asyncpg.exceptions import _base as asyncpg_base

from libs.db.transaction import Connection, OutboxWriter, Tx

log = logging.getLogger(__name__)

Isolation: TypeAlias = Literal["repeatable_read"] | None

# The server's own limits on what one of our connections may do. A statement or a transaction that
# outlives them is a fault, and holding a snapshot keeps dead rows of the outbox alive.
SERVER_SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "jit": "off",
}

_TRANSIENT: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    # After SIGKILL of the postmaster asyncpg raises this, which is no PostgresError.
    asyncpg_base.InternalClientError,
    ConnectionError,
    OSError,
    TimeoutError,
)


def is_transient(error: BaseException) -> bool:
    """Whether the same work may well succeed later: the server away, a lock, a full disk."""
    if isinstance(error, asyncpg.ProtocolError | asyncpg.InterfaceWarning):
        return False
    return isinstance(error, _TRANSIENT)


async def _keep(_connection: object) -> None:
    """Saves a round trip at each release: nothing of ours leaves state in a pooled session.

    Settings are made with SET LOCAL, temporary tables drop on commit, and session locks live on
    connections of their own.
    """


class Database:
    """One database and its pool."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        outbox: OutboxWriter | None,
        dedicated: Callable[[], Awaitable[asyncpg.Connection[asyncpg.Record]]] | None = None,
    ) -> None:
        self._pool = pool
        self._dedicated = dedicated
        self.outbox = outbox

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        application: str,
        max_size: int = 10,
        outbox: OutboxWriter | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Database:
        """Opens a pool of at most `max_size` connections; the first must succeed within 10 s."""
        session = {**SERVER_SETTINGS, "application_name": application, **(settings or {})}
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=max_size,
            timeout=10,
            command_timeout=60,
            max_inactive_connection_lifetime=120,
            reset=_keep,
            server_settings=session,
        )

        def dedicated() -> Awaitable[asyncpg.Connection[asyncpg.Record]]:
            return asyncpg.connect(dsn, timeout=10, command_timeout=30, server_settings=session)

        return cls(pool, outbox, dedicated)

    async def dedicated(self) -> asyncpg.Connection[asyncpg.Record]:
        """A connection outside the pool, for session locks and LISTEN. The caller closes it."""
        if self._dedicated is None:
            raise RuntimeError("this database was not opened with connect()")
        return await self._dedicated()

    async def close(self, timeout: float = 10) -> None:
        """Waits `timeout` seconds for connections to come back, then cuts them."""
        try:
            async with asyncio.timeout(timeout):
                await self._pool.close()
        except TimeoutError:
            log.warning("connections still in use were cut")
            self._pool.terminate()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """A connection outside any transaction."""
        async with self._pool.acquire(timeout=30) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Tx]:
        """A transaction: READ COMMITTED, or one REPEATABLE READ snapshot when `read_only`."""
        async with self.acquire() as connection:
            isolation: Isolation = "repeatable_read" if read_only else None
            async with connection.transaction(isolation=isolation, readonly=read_only):
                tx = Tx(connection, None if read_only else self.outbox)
                yield tx
                await tx.flush()
        tx.committed()

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of one statement by itself."""
        async with self.acquire() as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row of one statement by itself."""
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first column of the first row of one statement by itself."""
        async with self.acquire() as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Runs one statement by itself; answers its tag."""
        async with self.acquire() as connection:
            return await connection.execute(query, *args)
