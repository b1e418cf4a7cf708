"""Makes the environment in .venv: `python3 bootstrap.py [--dev]`. Done once, it does nothing.

It needs Python 3.11, 3.12 or 3.13 and nothing else. Packages come by the hashes in
requirements.lock (with --dev, requirements-dev.lock) from wherever pip is configured to look.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / ".pq-stamp"
VERSIONS = ((3, 11), (3, 12), (3, 13))
WANTED = "Python 3.11, 3.12 or 3.13"


def fail(message: str) -> "NoReturn":  # noqa: F821, UP037 # an old Python must get as far as here
    sys.exit("set-up: " + message)


def find_python() -> str:
    """An interpreter we run on: this one, else one on PATH."""
    if sys.version_info[:2] in VERSIONS:
        return sys.executable
    for major, minor in reversed(VERSIONS):
        found = shutil.which(f"python{major}.{minor}")
        if found and run([found, "-c", "import venv, ensurepip"], quiet=True):
            return found
    mine = ".".join(map(str, sys.version_info[:2]))
    return fail(f"{WANTED} is needed, and none is on PATH (this is {mine}); PYTHON=… names one")


def run(command: list[str], quiet: bool = False) -> bool:
    """Runs a command; answers whether it succeeded. With `quiet` its output is dropped."""
    sink = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, stdout=sink, stderr=sink, check=False, cwd=ROOT).returncode == 0


def stamp(dev: bool) -> str:
    """What the environment was made from."""
    digest = hashlib.sha256()
    names = ["bootstrap.py", "pyproject.toml", "requirements.lock"]
    for name in [*names, "requirements-dev.lock"] if dev else names:
        digest.update((ROOT / name).read_bytes())
    return ("dev " if dev else "run ") + digest.hexdigest()


def is_current(dev: bool) -> bool:
    """Whether the environment is what the locks say; one for development serves to run as well."""
    try:
        found = STAMP.read_text()
    except OSError:
        return False
    return found in ({stamp(True)} if dev else {stamp(True), stamp(False)})


def make_venv(python: str) -> None:
    """A fresh .venv with pip."""
    shutil.rmtree(VENV, ignore_errors=True)
    if not run([python, "-m", "venv", str(VENV)]):
        fail(
            f"{python} cannot make an environment; is its venv module there? (Debian: python3-venv)"
        )


def locked(name: str) -> str:
    """The lines of one package in the lock, hashes included."""
    text = (ROOT / "requirements.lock").read_text()
    match = re.search(rf"^{name}==.*(?:\n    .*)*", text, re.MULTILINE)
    if match is None:
        fail(f"{name} is not in requirements.lock")
    return match[0] + "\n"


def install(lock: str) -> None:
    """The packages of a lock: by uv, which takes seconds, else by pip."""
    pip = [
        str(VENV / "bin" / "python"),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-q",
        "install",
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(locked("uv"))
        file.flush()
        has_uv = run([*pip, "--require-hashes", "--no-deps", "-r", file.name])
    # uv looks where pip is configured to look, which pip alone knows in full.
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "-q", "-p", str(VENV), "--require-hashes"]
    if has_uv and run([*uv, "-r", lock]):
        return
    print("set-up: uv could not install the packages; trying pip, which takes a minute", flush=True)
    if not run([*pip, "--require-hashes", "-r", lock]):
        fail("the packages could not be installed; is a package index reachable?")


def main() -> None:
    dev = "--dev" in sys.argv[1:]
    os.environ.setdefault("UV_LINK_MODE", "copy")
    if is_current(dev):
        if not run([str(VENV / "bin" / "python"), "protos/generate.py", "--if-changed"]):
            fail("the contracts could not be generated")
        return
    began = time.monotonic()
    print("set-up: making the environment in .venv", flush=True)
    if sys.version_info[:2] not in VERSIONS or not (VENV / "bin" / "python").exists():
        make_venv(find_python())
    install("requirements-dev.lock" if dev else "requirements.lock")
    python = str(VENV / "bin" / "python")
    if not run([python, "protos/generate.py", "--if-changed"]):
        fail("the contracts could not be generated")
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "-q", "-p", str(VENV)]
    editable = ["--no-deps", "--no-build-isolation", "-e", "."]
    if not run([*uv, *editable]) and not run([python, "-m", "pip", "-q", "install", *editable]):
        fail("the project itself could not be installed")
    STAMP.write_text(stamp(dev))
    print(f"set-up: done in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
