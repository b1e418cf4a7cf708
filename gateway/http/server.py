"""The HTTP server: a socket of our own in our own loop.

The socket is bound without SO_REUSEPORT, which would share a port with a stranger in silence: it
fails where the port is taken, and tells its number where 0 was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from email.utils import formatdate

from gateway.http.connection import Application, Connection
from libs.rpc.server import AddressInUseError

log = logging.getLogger(__name__)

BACKLOG = 1_024
# Seconds for which a silent connection is still served after the end has begun: what its client has
# just sent is under way.
LAME = 0.25


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
    """Serves an application on `listener`, which becomes its own, from `run` to `stop`."""

    def __init__(self, application: Application, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.application = application
        self._connections: set[Connection] = set()
        self.stopping = False
        self.listening = False
        self.tick = 0
        self.date = formatdate(usegmt=True)
        self._listener = listener
        self._stopped = asyncio.Event()
        self._empty = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to serve, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._serve(), name="http")

    async def run(self) -> None:
        """Serves until it is stopped; raises where it ends by itself."""
        self.start()
        assert self._task is not None
        await asyncio.shield(self._task)
        if not self.stopping:
            raise RuntimeError("the HTTP server ended by itself")

    def joined(self, connection: Connection) -> None:
        """A client has come."""
        self._connections.add(connection)
        self._empty.clear()

    def left(self, connection: Connection) -> None:
        """A client has gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    async def stop(self, grace: float) -> None:
        """Stops listening, and lets what is in flight finish for up to `grace` seconds."""
        self.stopping = True
        self._stopped.set()
        if self._task is not None:
            await self._task
        try:
            async with asyncio.timeout(grace):
                await self._until_empty(LAME)
                for connection in list(self._connections):
                    connection.retire()
                await self._until_empty()
        except TimeoutError:
            log.warning("requests were still in flight when the grace ended")
            for connection in list(self._connections):
                connection.abort()

    async def _until_empty(self, seconds: float | None = None) -> None:
        """Waits until every client has gone, or for so long."""
        if self._connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self), sock=self._listener, backlog=BACKLOG
        )
        self.listening = True
        try:
            while not self._stopped.is_set():
                await self._second()
        finally:
            server.close()
            self.listening = False

    async def _second(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self._stopped.wait()
        except TimeoutError:
            self.tick += 1
            # The date a server tells is the world's, whatever clock the product is given.
            self.date = formatdate(usegmt=True)
            for connection in list(self._connections):
                connection.check_time(self.tick)
