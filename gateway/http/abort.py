"""Breaking a connection off, for an answer that cannot be finished.

Under HTTP/1.1 an answer in chunks that ends early must not look complete. The server below ends the
chunks properly whatever happens, so the socket itself is shut.
"""

from __future__ import annotations

import contextlib
import os
import socket


def abort(client: str) -> bool:
    """Shuts this process's connection to `client`, "address:port"; False where it is gone."""
    address, _, port = client.rpartition(":")
    wanted = (address.strip("[]"), int(port))
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 # descriptors, not files
        with contextlib.suppress(OSError):
            peer = socket.socket(fileno=os.dup(int(name)))
            with peer:
                if peer.getpeername()[:2] == wanted:
                    peer.shutdown(socket.SHUT_RDWR)
                    return True
    return False
