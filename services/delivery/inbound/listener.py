"""An LMTP or SMTP listener to which a relay forwards what comes back.

It is no mail server: it takes mail for the bounce addresses and nothing else, speaks no TLS, asks
for no password, and is meant for a relay on the same host or network.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

log = logging.getLogger(__name__)

MAX_SIZE = 10 * 1024 * 1024
MAX_CONNECTIONS = 50
_MAX_RECIPIENTS = 100
_IDLE_SECONDS = 60.0
_TAKEN = "250 2.6.0 taken"
_LATER = "451 4.3.0 cannot be kept right now, try again"

Take = Callable[[bytes], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: `protocol` is lmtp or smtp."""

    protocol: str
    host: str
    port: int


def parse_listen(text: str) -> Listen:
    """lmtp://127.0.0.1:2400 or smtp://[::1]:2525; a host that is left out is 127.0.0.1. Raises
    ValueError."""
    protocol, separator, rest = text.partition("://")
    host, colon, port = rest.rpartition(":")
    if not separator or protocol not in ("lmtp", "smtp") or not colon or not port.isdigit():
        raise ValueError("expected lmtp://host:port or smtp://host:port")
    if int(port) > 65_535:
        raise ValueError("expected a port of at most 65535")
    return Listen(protocol, host.strip("[]") or "127.0.0.1", int(port))


def parse_recipients(text: str) -> tuple[str, ...]:
    """Addresses, and domains with an @ before them, with commas between. Raises ValueError."""
    wanted = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if not wanted or not all("@" in part and not part.endswith("@") for part in wanted):
        raise ValueError("expected addresses or @domains, with commas between")
    return wanted


class Listener:
    """Takes mail for `recipients` ("bounces@our.test", or "@bounces.our.test" for a domain), and
    hands each to `take`. A mail is acknowledged after `take` has returned; where it raises, the
    relay is told to try again."""

    def __init__(
        self, listen: Listen, recipients: Sequence[str], take: Take, max_size: int = MAX_SIZE
    ) -> None:
        self._listen = listen
        self._recipients = frozenset(recipients)
        self._take = take
        self._max_size = max_size
        self._connections: set[asyncio.BaseTransport] = set()
        self.address: tuple[str, int] | None = None
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Listens until it is cancelled; connections are closed then. Raises OSError where the
        address cannot be had."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocol, self._listen.host, self._listen.port)
        async with server:
            name = server.sockets[0].getsockname()
            self.address = (name[0], name[1])
            self.listening.set()
            log.info("listening for bounces", extra={"host": name[0], "port": name[1]})
            try:
                await server.serve_forever()
            finally:
                self.address = None
                self.listening.clear()
                for transport in tuple(self._connections):
                    transport.close()

    def _protocol(self) -> asyncio.BaseProtocol:
        if len(self._connections) >= MAX_CONNECTIONS:
            return _Busy()
        made = _Lmtp if self._listen.protocol == "lmtp" else _Smtp
        return made(
            self._connections,
            self,
            data_size_limit=self._max_size,
            hostname="pq",
            ident="pq",
            timeout=_IDLE_SECONDS,
            command_call_limit=1000,
        )

    # aiosmtpd finds these by their names.

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks for it by this name
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Takes only the addresses that bounces come to."""
        wanted = address.lower()
        domain = "@" + wanted.rpartition("@")[2]
        if wanted not in self._recipients and domain not in self._recipients:
            return "550 5.1.1 no such address; only bounces are taken here"
        if len(envelope.rcpt_tos) >= _MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd looks for it by this name
        self, _server: SMTP, _session: Any, envelope: Any
    ) -> str:
        """Hands the mail on, and answers when that is done. LMTP wants an answer for each
        recipient (RFC 2033 §4.2)."""
        answer = _TAKEN
        try:
            await self._take(bytes(envelope.content))
        except Exception:  # whatever it is, the mail stays with the relay, which comes again
            log.exception("a bounce could not be kept")
            answer = _LATER
        count = len(envelope.rcpt_tos) if self._listen.protocol == "lmtp" else 1
        return "\r\n".join([answer] * count)

    async def handle_exception(self, error: Exception) -> str:
        """A fault in the dialogue ends this mail, not the listener."""
        log.warning("a dialogue about a bounce failed", exc_info=error)
        return "451 4.3.0 that went wrong here"


class _Smtp(SMTP):
    """One connection, counted. Mail that comes back has longer lines than RFC 5321 allows."""

    line_length_limit = 64 * 1024

    def __init__(self, connections: set[asyncio.BaseTransport], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections = connections
        self._counted: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes a place."""
        self._counted = transport
        self._connections.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Makes room."""
        if self._counted is not None:
            self._connections.discard(self._counted)
        super().connection_lost(error)


class _Lmtp(_Smtp, LMTP):
    """The same in LMTP."""


class _Busy(asyncio.Protocol):
    """Sends away what is one connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says why, and hangs up."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(b"421 4.7.0 too many connections\r\n")
        transport.close()
