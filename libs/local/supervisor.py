"""Starts the parts of the local product, keeps them running, and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable

import psutil

from libs.local.child import Backoff, Child, ending
from libs.local.echo import Echo
from libs.local.home import Home, HomeError, read_json, write_json
from libs.local.layout import LOG_DATABASE, SERVICES, Wiring, module
from libs.local.ports import free_ports, is_free
from libs.local.postgres import EmbeddedPostgres, PostgresError
from libs.local.processes import end

READY_TIMEOUT = 120.0
GRACE = 40.0
# Services that a killed supervisor left have been told to end before we look.
LEFT_BEHIND_GRACE = 10.0
_SAME_START = 2.0


class Supervisor:
    """One product on one home. `tell` prints a line for a person."""

    def __init__(
        self, home: Home, gateway_listen: str, event_log: str, tell: Callable[[str], None]
    ) -> None:
        self._home = home
        self._gateway_listen = gateway_listen
        self._event_log = event_log
        self._tell = tell
        remembered = read_json(home.endpoints).get("ports", {})
        self._remembered = remembered if isinstance(remembered, dict) else {}
        self._postgres = EmbeddedPostgres(home.postgres, port=self._port("postgres", 0))
        self._children: dict[str, Child] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> Wiring:
        """Starts everything; answers once all is ready.

        Raises HomeError, PostgresError, OSError and, when it takes too long, TimeoutError.
        """
        await asyncio.to_thread(self._end_left_behind)
        self._gateway_listen = listening(self._gateway_listen)
        await self._start_postgres()
        wiring = self._wire()
        self._tasks.append(asyncio.create_task(self._keep_postgres()))
        for service in SERVICES:
            program = wiring.program(service)
            child = Child(program, self._tell, self._write_processes)
            self._children[service] = child
            self._tasks.append(asyncio.create_task(child.keep()))
            self._tasks.append(asyncio.create_task(self._echo(service)))
        write_json(self._home.endpoints, {**wiring.document(), "ports": self._ports(wiring)})
        await self._until_ready(wiring)
        return wiring

    async def stop(self) -> None:
        """Stops the services, then PostgreSQL."""
        self._stopping = True
        await asyncio.gather(*(child.stop(GRACE) for child in self._children.values()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._postgres.stop)
        self._home.processes.unlink(missing_ok=True)

    def hurry(self) -> None:
        """Ends the services at once; PostgreSQL still stops in order."""
        for child in self._children.values():
            child.kill()

    async def _start_postgres(self) -> None:
        await asyncio.to_thread(self._postgres.prepare)
        self._postgres.spawn()
        self._write_processes()
        await self._postgres.ready()
        await self._postgres.create_databases([*SERVICES, LOG_DATABASE])

    async def _keep_postgres(self) -> None:
        backoff, began = Backoff(), time.monotonic()
        while not self._stopping:
            if self._postgres.pid is not None:
                await asyncio.sleep(0.1)
                continue
            pause = backoff.after(time.monotonic() - began)
            status = self._postgres.status or 0
            self._tell(f"PostgreSQL {ending(status)}; starting it again in {pause:.1f} s")
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                await self._start_postgres()
            except PostgresError as error:
                self._tell(str(error))

    def _wire(self) -> Wiring:
        fresh = iter(free_ports(2 * len(SERVICES), besides=self._remembered.values()))
        ports = {
            name: (self._port(name, next(fresh)), self._port(f"{name}-metrics", next(fresh)))
            for name in SERVICES
        }
        databases = {name: self._postgres.dsn(name) for name in SERVICES}
        event_log = self._event_log or self._postgres.dsn(LOG_DATABASE)
        return Wiring(self._home, self._gateway_listen, ports, databases, event_log)

    def _port(self, name: str, otherwise: int) -> int:
        port = self._remembered.get(name)
        return port if isinstance(port, int) and is_free(port) else otherwise

    def _ports(self, wiring: Wiring) -> dict[str, int]:
        ports = {"postgres": self._postgres.port}
        for name, (grpc, metrics) in wiring.ports.items():
            ports |= {name: grpc, f"{name}-metrics": metrics}
        return ports

    async def _until_ready(self, wiring: Wiring) -> None:
        waiting, ends = set(SERVICES), time.monotonic() + READY_TIMEOUT
        while waiting:
            for name in sorted(waiting):
                if await _answers_ready(wiring.metrics(name)):
                    waiting.discard(name)
            if time.monotonic() > ends:
                names = ", ".join(sorted(waiting))
                raise TimeoutError(f"not ready after {READY_TIMEOUT:.0f} s: {names}")
            if waiting:
                await asyncio.sleep(0.05)

    async def _echo(self, service: str) -> None:
        echo = Echo(service, self._home.log(service), self._tell)
        while True:
            echo.look()
            await asyncio.sleep(0.5)

    def _write_processes(self) -> None:
        pids = {name: child.pid for name, child in self._children.items()}
        pids["postgres"] = self._postgres.pid
        document = {}
        for name, pid in pids.items():
            with contextlib.suppress(psutil.Error):
                if pid is not None:
                    document[name] = {"pid": pid, "created": psutil.Process(pid).create_time()}
        write_json(self._home.processes, document)

    def _end_left_behind(self) -> None:
        """Ends services that a killed supervisor left, known by id, start time and command."""
        left = []
        for name, entry in read_json(self._home.processes).items():
            with contextlib.suppress(psutil.Error, KeyError, TypeError):
                process = psutil.Process(entry["pid"])
                ours = name in SERVICES and module(name) in process.cmdline()
                # Told in seconds since 1970 from a boot time that the clock's corrections move.
                if ours and abs(process.create_time() - entry["created"]) < _SAME_START:
                    left.append(process)
        end(left, (signal.SIGTERM, signal.SIGKILL), LEFT_BEHIND_GRACE)


def listening(listen: str) -> str:
    """`listen`, host:port, with a free port in place of 0. Raises HomeError where it is taken."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise HomeError(f"PQ_GATEWAY_LISTEN: expected host:port, not {listen!r}")
    if int(port) == 0:
        return f"{host}:{free_ports(1)[0]}"
    if not is_free(int(port), host.strip("[]") or "127.0.0.1"):
        raise HomeError(f"{listen} is in use; set PQ_GATEWAY_LISTEN to another host:port")
    return listen


async def _answers_ready(address: str) -> bool:
    """Whether GET /readyz at host:port answers 200."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
