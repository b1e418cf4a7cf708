"""Loopback ports."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Collection
from pathlib import Path

# Where the system takes ports for outgoing connections from; a port of ours among them could be
# taken while its owner is being started again.
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_START = 32768
_LOWEST = 10240
_SPAN = 12000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_ports(count: int, *, besides: Collection[int] = ()) -> list[int]:
    """Ports that nobody uses now, all different, none of `besides`.

    They lie below those of outgoing connections. Raises OSError where there are not enough.
    """
    start = _outgoing_start()
    low = max(_LOWEST, start - _SPAN)
    if low >= start:
        low, start = _LOWEST, 65536
    found: list[int] = []
    for port in random.sample(range(low, start), start - low):
        if len(found) == count:
            return found
        if port not in besides and is_free(port):
            found.append(port)
    if len(found) < count:
        raise OSError(f"of {count} loopback ports only {len(found)} are free")
    return found


def _outgoing_start() -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_RANGE.read_text().split()[0])
    return _USUAL_START
