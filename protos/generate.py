"""Generates Python from the contracts: messages, gRPC stubs, typing stubs, and a descriptor set.

    python protos/generate.py [--if-changed]

Writes `build/protos`, an import root that holds `pq` alone. The descriptor set keeps comments
(source info), for the gateway reads routes and documentation from it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OUT = ROOT.parent / "build" / "protos"
STAMP = OUT / ".stamp"
GENERATORS = ("grpcio-tools", "mypy-protobuf", "googleapis-common-protos")


def fingerprint(sources: list[Path]) -> str:
    """A digest of everything that the generated code depends on."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for name in GENERATORS:
        digest.update(f"{name}=={importlib.metadata.version(name)}\n".encode())
    for source in sources:
        digest.update(f"{source.relative_to(ROOT)}\n".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()


def generate(sources: list[Path], out: Path, root: Path = ROOT) -> None:
    """Runs protoc over `sources` below `root`; `out` then holds the package `pq`."""
    from google.api import http_pb2
    from grpc_tools import protoc

    # protoc finds its plug-ins on PATH; ours sit beside the interpreter.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    googleapis = Path(http_pb2.__file__).parents[2]
    wellknown = Path(protoc.__file__).with_name("_proto")
    status = protoc.main(
        [
            "protoc",
            f"-I{root}",
            f"-I{googleapis}",
            f"-I{wellknown}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={out / 'pq' / 'descriptors.binpb'}",
            *(str(source) for source in sources),
        ]
    )
    if status:
        raise SystemExit(f"protos: protoc ended with {status}")


def main() -> None:
    sources = sorted((ROOT / "pq").rglob("*.proto"))
    mark = fingerprint(sources)
    if "--if-changed" in sys.argv and STAMP.exists() and STAMP.read_text() == mark:
        return
    fresh = OUT.with_name(f"protos.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "pq").mkdir(parents=True)  # protoc makes no folder for the descriptor set
    generate(sources, fresh)
    (fresh / ".stamp").write_text(mark)
    shutil.rmtree(OUT, ignore_errors=True)
    fresh.rename(OUT)
    print(f"protos: {len(sources)} files generated")


if __name__ == "__main__":
    main()
