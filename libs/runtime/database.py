"""A database that need not be there yet when the process starts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import asyncpg

from libs.db import Database, MigrationError, OutboxWriter, is_transient, migrate
from libs.db.transaction import Connection
from libs.runtime.parts import Part

log = logging.getLogger(__name__)

Folders: TypeAlias = Mapping[str, Path] | Sequence[tuple[str, Path]]
LONGEST_PAUSE = 2.0
# These pass too, once somebody has created the database or its user.
_NOT_YET = (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError)


class DatabaseAwayError(ConnectionError):
    """The database has not been reached since this process started. Transient: see is_transient.

    Whoever wants to go on once it has been awaits `reached`.
    """

    def __init__(self, reached: asyncio.Event) -> None:
        super().__init__("the database has not been reached yet")
        self.reached = reached


class LazyDatabase(Database):
    """A `Database` that says it is away until it has been opened."""

    def __init__(self, outbox: OutboxWriter | None) -> None:
        # There is no pool: everything that would use it asks the opened database.
        super().__init__(cast("Any", None), outbox)
        self._opened: Database | None = None
        self.reached = asyncio.Event()

    def adopt(self, opened: Database) -> None:
        """Passes everything to `opened` from now on."""
        self._opened = opened
        self.reached.set()

    def acquire(self) -> AbstractAsyncContextManager[Connection]:  # type: ignore[override] # no layer more
        """See `Database.acquire`. Raises DatabaseAwayError."""
        return self._there().acquire()

    async def dedicated(self) -> asyncpg.Connection[asyncpg.Record]:
        """See `Database.dedicated`. Raises DatabaseAwayError."""
        return await self._there().dedicated()

    async def close(self, timeout: float = 10) -> None:
        """See `Database.close`."""
        if self._opened is not None:
            await self._opened.close(timeout)

    def _there(self) -> Database:
        if self._opened is None:
            raise DatabaseAwayError(self.reached)
        return self._opened


@dataclass(frozen=True, slots=True)
class Opening:
    """What it takes to open one database."""

    dsn: str
    application: str
    connections: int
    folders: Sequence[tuple[str, Path]]
    part: Part

    async def open(self, database: LazyDatabase) -> None:
        """Migrates and connects as soon as the server answers; tries for ever.

        Raises MigrationError: the files and the database do not fit, and no waiting mends that.
        """
        pause = 0.05
        while True:
            try:
                await migrate(self.dsn, self.folders)
                opened = await Database.connect(
                    self.dsn,
                    application=self.application,
                    max_size=self.connections,
                    outbox=database.outbox,
                )
            except MigrationError:
                raise
            except Exception as error:  # noqa: BLE001 # told, shown, and tried again
                self._tell(error)
            else:
                database.adopt(opened)
                self.part.up()
                log.info("database ready")
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _tell(self, error: Exception) -> None:
        told = f"{type(error).__name__}: {error}"
        if told == self.part.detail:
            return  # said once; it would be said every two seconds
        self.part.down(told)
        if is_transient(error) or isinstance(error, _NOT_YET):
            log.warning("the database is away; waiting for it", extra={"error": told})
        else:
            log.error("the database cannot be opened; trying on", exc_info=error)
