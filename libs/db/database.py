"""A pool of connections, and transactions that carry their events with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, Protocol, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.exceptions import _base as asyncpg_base
from asyncpg.pool import PoolConnectionProxy
from google.protobuf.message import Message

log = logging.getLogger(__name__)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

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


class Record(Protocol):
    """What an outbox makes of an event; libs.events has the real one."""

    @property
    def id(self) -> UUID:
        """The event's id."""
        ...


class OutboxWriter(Protocol):
    """How events get into the transaction that publishes them."""

    def encode(
        self, message: Message, id: UUID | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Checks and serialises one event; raises on the spot what could never be sent."""
        ...

    async def write(self, connection: Connection, records: Sequence[Any]) -> None:
        """Writes the rows. The last statement of the transaction."""
        ...

    def wake(self) -> None:
        """Told after a commit that wrote rows."""
        ...


class Reader(Protocol):
    """What runs a statement: the database by itself, or a transaction."""

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows."""
        ...

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row, if any."""
        ...

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first column of the first row, if any."""
        ...


class Tx:
    """One open transaction. What is published here is sent if, and only if, it commits."""

    def __init__(self, connection: Connection, outbox: OutboxWriter | None) -> None:
        self.connection = connection
        self._outbox = outbox
        self._records: list[Any] = []
        self._callbacks: list[Callable[[], None]] = []

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows."""
        return await self.connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row, if any."""
        return await self.connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first column of the first row, if any."""
        return await self.connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Runs a statement; answers its tag, such as "UPDATE 3"."""
        return await self.connection.execute(query, *args)

    async def executemany(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs a statement for each row, pipelined."""
        await self.connection.executemany(query, rows)

    async def copy_records(
        self, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]]
    ) -> None:
        """Binary COPY of tuples into a table."""
        await self.connection.copy_records_to_table(table, columns=list(columns), records=records)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that can fail alone; what it published goes with it."""
        kept, calls = len(self._records), len(self._callbacks)
        try:
            async with self.connection.transaction():
                yield
        except BaseException:
            del self._records[kept:], self._callbacks[calls:]
            raise

    def publish(
        self,
        message: Message,
        *,
        id: UUID | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> UUID:
        """Sends an event with this transaction. Answers its id; raises what could never be sent."""
        if self._outbox is None:
            raise RuntimeError("this database has no outbox")
        record = self._outbox.encode(message, id, headers)
        self._records.append(record)
        published: UUID = record.id
        return published

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Has `callback` called once the commit is certain; it must not raise."""
        self._callbacks.append(callback)

    async def flush(self) -> None:
        """Writes the buffered events; the database calls it before the commit."""
        if self._records and self._outbox is not None:
            await self._outbox.write(self.connection, self._records)

    def committed(self) -> None:
        """Tells whoever waits; the database calls it after the commit."""
        if self._records and self._outbox is not None:
            self._outbox.wake()
        for callback in self._callbacks:
            callback()


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
