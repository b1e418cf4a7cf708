"""Checks every migration: lints it, and applies all to an empty database, twice.

    python -m libs.db.check

Run from the root of the project; `make check` does.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from libs.db.migrations import MigrationError, migrate, read
from libs.local.postgres import FORGETFUL, EmbeddedPostgres

# What every service's database has beside its own tables.
SHARED = [("events", Path("libs/events/migrations")), ("api", Path("libs/api/migrations"))]


def databases() -> dict[str, list[tuple[str, Path]]]:
    """Database name to its folders, found by where migrations lie."""
    found: dict[str, list[tuple[str, Path]]] = {
        "log": [("log", Path("libs/events/postgres_migrations"))]
    }
    for folder in sorted(
        [*Path("services").glob("*/migrations"), *Path("gateway").rglob("migrations")]
    ):
        name = folder.parent.name
        found[name] = [*SHARED, (name, folder)]
    return found


def lint(files: list[Path]) -> bool:
    """What squawk says; its settings are in .squawk.toml."""
    squawk = Path(sys.executable).with_name("squawk")
    return subprocess.run([squawk, *files], check=False).returncode == 0


async def apply(server: EmbeddedPostgres, plan: dict[str, list[tuple[str, Path]]]) -> int:
    """Applies all to empty databases; a second time nothing may be left to do."""
    await server.ready()
    await server.create_databases(list(plan))
    count = 0
    for name, folders in plan.items():
        count += len(await migrate(server.dsn(name), folders))
        if again := await migrate(server.dsn(name), folders):
            raise MigrationError(f"{name}: applied twice: {again}")
    return count


def main() -> int:
    plan = databases()
    folders = {folder for parts in plan.values() for _, folder in parts}
    files = sorted(path for folder in folders for path in folder.glob("*.sql"))
    if not lint(files):
        return 1
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder), settings=FORGETFUL)
        server.start()
        try:
            count = asyncio.run(apply(server, plan))
        finally:
            server.stop()
    total = sum(len(read(name, folder)) for parts in plan.values() for name, folder in parts)
    print(f"migrations: {len(files)} files, applied {count} times in {len(plan)} databases")
    return 0 if count == total else 1


if __name__ == "__main__":
    sys.exit(main())
