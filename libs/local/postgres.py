"""A real PostgreSQL 18 as a child process, from the binaries in a Python wheel."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import asyncpg
import psutil

from libs.local.cluster import (
    USER,
    Cluster,
    PostgresError,
    environment,
    identity,
    launcher,
    program,
)
from libs.local.ports import free_ports, is_free
from libs.local.processes import end

__all__ = ["FORGETFUL", "SETTINGS", "EmbeddedPostgres", "PostgresError"]

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # No socket file: its path could be too long, and others could reach it.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    # Nothing replicates from here. A COPY into a partition made in the same transaction then
    # writes no WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "10s",
    "io_method": "sync",
    "huge_pages": "off",
    "jit": "off",
    "log_line_prefix": "%m [%p] %q%a %d ",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "timezone": "UTC",
}

# For tests alone: what is lost when the machine, not the process, dies.
FORGETFUL = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

LOG_LIMIT = 20 * 1024 * 1024
# Going through the write-ahead log after a crash may take this long.
RECOVERY = 600.0


class EmbeddedPostgres:
    """One server on one folder, reached by a password over loopback.

    `start` and `spawn` must be called from a thread that lives as long as the server shall: the
    kernel ends a child when the thread that made it ends.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self.cluster = Cluster(folder)
        self._settings = {**SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.cluster.folder / "server.log"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def status(self) -> int | None:
        """How the server ended; None while it runs, or before its first start."""
        return self._process.poll() if self._process else None

    def dsn(self, database: str) -> str:
        """Where `database` is reached."""
        return f"postgresql://{USER}:{self.cluster.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Prepares and spawns; `ready` tells when the server answers. Raises PostgresError."""
        self.prepare()
        self.spawn()

    def prepare(self) -> None:
        """Makes the data folder where there is none, clears what a dead server left, finds a port.

        A port that was used once is kept, for clients know it. Raises PostgresError.
        """
        try:
            self.cluster.take()
            self.cluster.initialise(durable=self._settings.get("fsync") != "off")
        except OSError as error:
            raise PostgresError(f"{self.cluster.folder} cannot be used: {error}") from error
        self.clear_orphans()
        if self._process is None and not (self.port and is_free(self.port)):
            self.port = free_ports(1)[0]

    def spawn(self) -> None:
        """Starts the server as a child. Raises PostgresError."""
        options = [part for item in self._settings.items() for part in ("-c", "=".join(item))]
        try:
            with self._open_log() as log:
                self._process = subprocess.Popen(
                    [
                        *launcher(identity(), "--on-parent-death", "SIGINT"),
                        *(program("postgres"), "-D", str(self.cluster.data)),
                        *("-p", str(self.port), *options),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # a Ctrl-C is for the supervisor: it stops in order
                    env=environment(),
                    cwd=self.cluster.folder,
                )
        except OSError as error:
            raise PostgresError(f"PostgreSQL cannot be started: {error}") from error

    async def ready(self, timeout: float = 60) -> None:
        """Waits until the server answers. Raises PostgresError with its own last words.

        A server that goes through its log after a crash is given up to `RECOVERY` seconds.
        """
        began = time.monotonic()
        while True:
            if self.pid is None:
                raise PostgresError(f"PostgreSQL ended at once: {self._last_words()}")
            try:
                connection = await asyncpg.connect(self.dsn("postgres"), timeout=5)
            except asyncpg.InvalidPasswordError:
                raise PostgresError(
                    f"{self.cluster.folder}/password is not the server's; it was changed"
                ) from None
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                recovering = isinstance(error, asyncpg.CannotConnectNowError)
                if time.monotonic() - began > (RECOVERY if recovering else timeout):
                    raise PostgresError(f"PostgreSQL does not answer: {error}") from error
                await asyncio.sleep(0.02)
            else:
                await connection.close()
                return

    async def create_databases(self, names: list[str]) -> None:
        """Creates those of `names` that are not there. Raises PostgresError."""
        try:
            connection = await asyncpg.connect(self.dsn("postgres"), timeout=10)
            try:
                rows = await connection.fetch("select datname from pg_database")
                for name in sorted(set(names) - {row["datname"] for row in rows}):
                    await connection.execute(f'create database "{name}" strategy wal_log')
            finally:
                await connection.close()
        except (
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as error:
            raise PostgresError(f"the databases cannot be created: {error}") from error

    def stop(self, timeout: float = 20) -> None:
        """Ends the server: in order, then at once, then by force. Gives the folder free."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process is None or self._process.poll() is not None:
                break
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        if self._process is not None:
            self.clear_orphans()
        self.cluster.release()

    def clear_orphans(self, patience: float = 5) -> None:
        """Ends processes of our own data folder that a former postmaster left behind.

        A backend in a long query does not notice that its postmaster died, and holds the shared
        memory, so that no new one can start. They are known by program and working folder, which
        is the data folder for every process of PostgreSQL; no other process is touched. Call it
        while the folder is taken and no server of ours runs.
        """
        numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
        end(_running_in(self.cluster.data), numbers, patience)

    def _open_log(self) -> IO[bytes]:
        """The log to append to; its former content is set aside where it has grown long."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".1.log"))
        log = self.log.open("ab")
        self._log_start = log.tell()
        return log

    def _last_words(self) -> str:
        try:
            with self.log.open("rb") as file:
                file.seek(self._log_start)
                lines = file.read().decode(errors="replace").splitlines()
        except OSError as error:
            return f"its log cannot be read ({error})"
        told = [line for line in lines if "FATAL" in line or "PANIC" in line] or lines[-1:]
        return told[-1].partition("FATAL:")[2].strip() or told[-1] if told else "it said nothing"


def _running_in(data: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            # By name, not path: an environment that was made anew has the program elsewhere.
            if Path(process.exe()).name == "postgres" and process.cwd() == str(data):
                found.append(process)
        except psutil.Error:
            continue  # gone meanwhile, or somebody else's
    return found
