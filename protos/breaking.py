"""Compares the contracts with those of the last main: `buf breaking` on descriptor sets.

    python protos/breaking.py

The base is PQ_BREAKING_BASE, else origin/main, else the commit before this one. Where the base has
no contracts there is nothing to break.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

from generate import generate  # noqa: E402 # beside this file, which is no package


def git(*arguments: str) -> bytes | None:
    """The output, or None where git has nothing to say."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def base() -> str | None:
    """The commit to compare with."""
    head = git("rev-parse", "HEAD")
    for name in (os.environ.get("PQ_BREAKING_BASE"), "origin/main", "HEAD^"):
        found = git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}") if name else None
        if found and (found != head or name == os.environ.get("PQ_BREAKING_BASE")):
            return found.decode().strip()
    return None


def main() -> int:
    commit = base()
    archive = git("archive", commit, "protos/pq") if commit else None
    if not archive:
        print("contracts: no earlier ones to compare with")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        root, out = Path(folder, "protos"), Path(folder, "out")
        (out / "pq").mkdir(parents=True)
        generate(sorted(root.rglob("*.proto")), out, root)
        before = out / "pq" / "descriptors.binpb"
        after = ROOT / "build" / "protos" / "pq" / "descriptors.binpb"
        done = subprocess.run(
            [
                Path(sys.executable).with_name("buf"),
                *("breaking", after),
                *("--against", before),
                *("--config", ROOT / "buf.yaml"),
            ],
            check=False,
        )
    if done.returncode == 0:
        print(f"contracts: nothing broken since {commit[:10] if commit else ''}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
