"""A transaction that carries its events with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from google.protobuf.message import Message

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"


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
