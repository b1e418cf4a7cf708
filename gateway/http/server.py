"""granian, embedded in our own loop, on a socket of our own.

The socket is bound here, without SO_REUSEPORT: granian's own would share a port with a stranger in
silence. Ours fails where the port is taken, and tells its number where 0 was asked for.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from libs.rpc.server import AddressInUseError

log = logging.getLogger(__name__)

BACKLOG = 1_024
HEAD_TIMEOUT = 10_000  # milliseconds for a request's head to arrive
BUFFER = 65_536  # bytes; what a head may take in the parser, which then answers 431 by itself


class _Embedded(Server):
    """The server on a given socket."""

    def __init__(self, listener: socket.socket, application: Any) -> None:
        host, port = listener.getsockname()[:2]
        # From here on the descriptor is granian's, which closes it when it stops listening.
        self._descriptor = listener.detach()
        super().__init__(
            application,
            host,
            port,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            log_enabled=False,
            http1_settings=HTTP1Settings(header_read_timeout=HEAD_TIMEOUT, max_buffer_size=BUFFER),
        )

    def _init_shared_socket(self) -> None:
        self._ssp = None
        # granian types neither: a descriptor, whether it is of a Unix socket, and the backlog.
        holder: Any = SocketHolder
        self._shd = holder(self._descriptor, False, BACKLOG)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises AddressInUseError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressInUseError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


class HttpServer:
    """Serves an RSGI application on `listener`, which becomes its own, from `start` to `stop`."""

    def __init__(self, application: Any, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self._server: Any = _Embedded(listener, application)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begins to serve, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(), name="http")

    async def run(self) -> None:
        """Serves until it is stopped; raises where the server ends by itself."""
        self.start()
        assert self._task is not None
        await asyncio.shield(self._task)
        if not self._stopping:
            raise RuntimeError("the HTTP server ended by itself")

    async def stop(self, grace: float) -> None:
        """Stops listening, and lets what is in flight finish for up to `grace` seconds."""
        self._stopping = True
        if self._task is None:
            return
        self._server.stop()
        done, _ = await asyncio.wait({self._task}, timeout=grace)
        if not done:
            log.warning("requests were still in flight when the grace ended")
            self._task.cancel()
