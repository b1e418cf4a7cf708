"""Makes the environment in .venv: `python3 bootstrap.py [--dev]`. Done once, it does nothing.

It needs Python 3.11, 3.12 or 3.13 and nothing else. Packages come by the hashes in
requirements.lock (with --dev, requirements-dev.lock) from wherever pip is configured to look.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

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


def run(command: list[str], quiet: bool = False, **environ: str) -> bool:
    """Runs a command; answers whether it succeeded. With `quiet` its output is dropped."""
    sink = subprocess.DEVNULL if quiet else None
    env = {**os.environ, **environ}
    try:
        done = subprocess.run(command, stdout=sink, stderr=sink, check=False, cwd=ROOT, env=env)
    except OSError:  # there is no such program
        return False
    return done.returncode == 0


def stamp(dev: bool) -> str:
    """What the environment was made from."""
    digest = hashlib.sha256(str(ROOT).encode())  # an environment cannot be moved
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


def is_usable() -> bool:
    """Whether .venv was made here, by a Python we run on, and works."""
    try:
        made = re.search(r"^command = .* (/.*)$", (VENV / "pyvenv.cfg").read_text(), re.MULTILINE)
    except OSError:
        return False
    if made and Path(made[1]) != VENV:
        return False  # it was moved or copied: its scripts name the other place
    check = f"import pip, sys; raise SystemExit(sys.version_info[:2] not in {VERSIONS})"
    return run([str(VENV / "bin" / "python"), "-c", check], quiet=True)


def make_venv(python: str) -> None:
    """A fresh .venv with pip."""
    shutil.rmtree(VENV, ignore_errors=True)
    if not run([python, "-m", "venv", str(VENV)]):
        fail(
            f"{python} cannot make an environment; is its venv module there? (Debian: python3-venv)"
        )


# What pip is told of where packages come from, and how uv is told the same.
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}


def sources(listing: str) -> dict[str, str]:
    """From what `pip config list` prints, the variables that have uv look where pip looks.

    What a person set for uv itself stays.
    """
    told: dict[str, str] = {}
    # In the order in which one overrides the other.
    for scope in ("global", "install", ":env:"):
        for line in listing.splitlines():
            name, _, value = line.partition("=")
            where, _, option = name.partition(".")
            if where == scope and option in UV_NAMES:
                words = str(ast.literal_eval(value)).split()
                separator = "," if option == "find-links" else " "
                told[UV_NAMES[option]] = separator.join(words)
    return {name: value for name, value in told.items() if value and name not in os.environ}


def pip_sources() -> dict[str, str]:
    """See `sources`."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return sources(done.stdout)


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
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "-q", "-p", str(VENV), "--require-hashes"]
    # Compiled here, once and by all cores, and not by five processes at the same time at each start
    # where the environment forbids them to keep it.
    if has_uv and run([*uv, "--compile-bytecode", "-r", lock], **pip_sources()):
        return
    print("set-up: uv could not install the packages; trying pip, which takes a minute", flush=True)
    if not run([*pip, "--require-hashes", "-r", lock]):
        fail("the packages could not be installed; is a package index reachable?")


def alone() -> IO[str]:
    """Waits until no other set-up runs here, and keeps others waiting until the file is closed."""
    import fcntl

    file = Path(__file__).open()  # noqa: SIM115 # the caller's to close
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def generate_protos() -> None:
    if not run([str(VENV / "bin" / "python"), "protos/generate.py", "--if-changed"]):
        fail("the contracts could not be generated")


def set_up(dev: bool) -> None:
    """Makes the environment anew, or brings it up to date."""
    if not is_usable():
        make_venv(find_python())
    if STAMP.exists():
        STAMP.unlink()  # an interrupted set-up is taken up again
    install("requirements-dev.lock" if dev else "requirements.lock")
    generate_protos()  # before the project itself, which points at what it writes
    editable = ["--no-deps", "--no-build-isolation", "-e", "."]
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "-q", "-p", str(VENV), "--offline"]
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "-q", "install", "--no-index"]
    if not run([*uv, *editable]) and not run([*pip, *editable]):
        fail("the project itself could not be installed")
    STAMP.write_text(stamp(dev))


def main() -> None:
    dev = "--dev" in sys.argv[1:]
    os.environ.setdefault("UV_LINK_MODE", "copy")
    with alone():
        if is_current(dev):
            generate_protos()
            return
        began = time.monotonic()
        print("set-up: making the environment in .venv", flush=True)
        set_up(dev)
        print(f"set-up: done in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
