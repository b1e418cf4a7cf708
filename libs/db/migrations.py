"""Forward-only migrations: numbered SQL files, one transaction each, one migrator at a time."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import asyncpg

from libs.db.transaction import Connection

log = logging.getLogger(__name__)

# Any fixed number serves; all migrators of one database share it.
_LOCK = 0x7071_6D69
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_TABLE = """
create table if not exists schema_migrations (
    namespace text not null,
    number int not null,
    name text not null,
    sha256 text not null,
    apply_time timestamptz not null default now(),
    primary key (namespace, number)
)
"""


class MigrationError(Exception):
    """The folder and the database do not fit together."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its place in its namespace, its text, and the digest of it."""

    namespace: str
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The digest that is kept, so that an edited file is noticed."""
        return sha256(self.sql.encode()).hexdigest()


def read(namespace: str, folder: Path) -> list[Migration]:
    """The files of one folder in order; numbers may be left out, for those who work at once keep
    some each. Raises MigrationError on a stray name or a number that comes twice."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{namespace}: {path.name} is not named NNNN_name.sql")
        found.append(Migration(namespace, int(match[1]), path.stem, path.read_text()))
    numbers = [migration.number for migration in found]
    if len(set(numbers)) != len(numbers):
        raise MigrationError(f"{namespace}: a number comes twice: {numbers}")
    return found


async def migrate(
    dsn: str,
    folders: Sequence[tuple[str, Path]],
    *,
    lock_timeout: str = "5s",
    statement_timeout: str = "10min",
) -> list[str]:
    """Brings a database up to date; answers what was applied, such as ["market/0001_cards"].

    `folders` are (namespace, folder) in order. A statement that waits longer than `lock_timeout`
    for a lock gives up, and the whole can be run again: what was applied stays. Raises
    MigrationError when an applied file has changed since.
    """
    wanted = [migration for namespace, folder in folders for migration in read(namespace, folder)]
    connection = await asyncpg.connect(
        dsn, timeout=10, server_settings={"application_name": "migrate", "timezone": "UTC"}
    )
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_TABLE)
        await connection.execute(f"set lock_timeout = '{lock_timeout}'")
        await connection.execute(f"set statement_timeout = '{statement_timeout}'")
        return await _apply(connection, wanted)
    finally:
        await connection.close()


async def _apply(connection: Connection, wanted: Sequence[Migration]) -> list[str]:
    rows = await connection.fetch("select namespace, number, name, sha256 from schema_migrations")
    applied = {(row["namespace"], row["number"]): row for row in rows}
    done = []
    for migration in wanted:
        row = applied.get((migration.namespace, migration.number))
        label = f"{migration.namespace}/{migration.name}"
        if row is not None:
            if row["sha256"] != migration.sha256:
                raise MigrationError(f"{label} was changed after it had been applied")
            continue
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into schema_migrations (namespace, number, name, sha256)"
                " values ($1, $2, $3, $4)",
                migration.namespace,
                migration.number,
                migration.name,
                migration.sha256,
            )
        log.info("migration applied", extra={"migration": label})
        done.append(label)
    return done
