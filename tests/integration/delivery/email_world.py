"""Delivery with e-mail: a relay and a mail API on loopback, and what an address's owner does."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiosmtpd import smtp

from services.delivery.channels.email.batching import Batching
from services.delivery.channels.email.channel import EmailChannel
from services.delivery.channels.email.choose import Route, Routes
from services.delivery.channels.email.health import Health
from services.delivery.channels.email.limits import Pace
from services.delivery.channels.email.mail import Provider, Sender
from services.delivery.channels.email.render import Renderer
from services.delivery.channels.email.resend import Resend
from services.delivery.domain.email_addresses import EmailAddress
from services.delivery.domain.email_links import PURPOSE, Links
from services.delivery.domain.model import Channel
from services.delivery.handlers.email_suppressions import Suppressions
from services.delivery.handlers.emails import EmailAddresses, check
from tests.integration.delivery import world as worlds
from tests.integration.delivery.receiver import Arrival, Receiver, answer
from tests.integration.delivery.world import World

FROM = Sender("pq alerts", "alerts@pq.example.com")
BASE = "https://pq.example.com"
SENT = 6
TOKEN = re.compile(rf"{BASE}/v1/(confirmations|unsubscriptions)/([\w-]+)")


@dataclass
class MailApi:
    """Resend's API as far as it matters: it takes an e-mail once for each key.

    `answers` are what it says instead, one after the other.
    """

    receiver: Receiver
    answers: list[Any] = field(default_factory=list)
    taken: dict[str, Any] = field(default_factory=dict)
    asked: list[Arrival] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.receiver.paths["/emails"] = self._take
        self.receiver.paths["/emails/batch"] = self._take

    async def _take(self, arrival: Arrival, writer: Any) -> bool:
        self.asked.append(arrival)
        if self.answers:
            return await self.answers.pop(0)(arrival, writer)
        return await self.accept(arrival, writer)

    async def accept(self, arrival: Arrival, writer: Any) -> bool:
        key, body = arrival.headers["idempotency-key"], json.loads(arrival.body)
        known = self.taken.setdefault(key, body)
        if known != body:
            said = b'{"name":"invalid_idempotent_request","message":"another body"}'
            return await answer(409, said)(arrival, writer)
        id = f"re_{list(self.taken).index(key)}"
        said: dict[str, Any] = {"id": id}
        if isinstance(body, list):
            said = {"data": [{"id": f"{id}.{at}"} for at in range(len(body))]}
        return await answer(200, json.dumps(said).encode())(arrival, writer)

    def refuses(self, status: int, name: str, message: str = "", **headers: str) -> None:
        """Once."""
        body = json.dumps({"statusCode": status, "name": name, "message": message}).encode()
        self.answers.append(answer(status, body, **headers))

    @property
    def mails(self) -> list[dict[str, Any]]:
        bodies = self.taken.values()
        return [m for body in bodies for m in (body if isinstance(body, list) else [body])]


class _Server(smtp.SMTP):
    """aiosmtpd knows nothing of RFC 3461: what it would refuse is kept beside."""

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        kept, dsn = _without_dsn(arg or "")
        await super().smtp_MAIL(kept)
        self.envelope.mail_options += dsn

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        kept, self.envelope.rcpt_options = _without_dsn(arg or "")
        await super().smtp_RCPT(kept)


def _without_dsn(arg: str) -> tuple[str, list[str]]:
    words = arg.split(" ")
    dsn = [word for word in words if word.startswith(("RET=", "ENVID=", "NOTIFY=", "ORCPT="))]
    return " ".join(word for word in words if word not in dsn), dsn


class Relay:
    """An SMTP server that keeps what it takes. `replies` are what it says to RCPT and to DATA
    instead, one after the other."""

    def __init__(self, **options: Any) -> None:
        self.envelopes: list[Any] = []
        self.sessions: set[Any] = set()
        self.rcpt: list[str] = []
        self.data: list[str] = []
        self.options = options
        self.port = 0
        self._servers: list[_Server] = []

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-DSN", responses[-1]]

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.sessions.add(session.peer)
        self.envelopes.append(envelope)
        return self.data.pop(0) if self.data else "250 2.0.0 queued as 4711"

    def _serve(self) -> _Server:
        server = _Server(self, loop=asyncio.get_running_loop(), **self.options)
        self._servers.append(server)
        return server

    async def __aenter__(self) -> Relay:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for server in self._servers:
            if server.transport is not None:
                server.transport.abort()
        handlers = [s._handler_coroutine for s in self._servers if s._handler_coroutine]
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await self._listener.wait_closed()


class EmailWorld:
    """A world whose workers also send e-mail, through `providers`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.links = Links(world.vault.derive(PURPOSE), BASE)
        self.renderer = Renderer()
        self.channels: list[EmailChannel] = []

    async def sender(self, providers: Sequence[Provider], *, rate: float = 1000.0) -> worlds.Sender:
        """A worker that runs."""
        world = self.world
        sender = await world.sender()
        routes = Routes(
            [
                Route(p, Pace(rate, world.clock), Health(p.name, world.db, world.clock))
                for p in providers
            ]
        )
        channel = EmailChannel(
            world.db, routes, self.renderer, self.links, FROM, world.clock, world.ids
        )
        self.channels.append(channel)
        sends: Any = sender.dispatcher._send
        sends[Channel.EMAIL] = channel.send
        return sender

    def api(self, api: MailApi) -> Resend:
        return Resend("re_key", self.world.clock, url=api.receiver.url("").rstrip("/"))

    def batching(self, api: MailApi, rate: float = 10.0) -> Batching:
        world = self.world
        return Batching(self.api(api), world.db, world.clock, world.ids, rate)

    def addresses(self, sender: worlds.Sender, *, configured: bool = True) -> EmailAddresses:
        world = self.world
        return EmailAddresses(
            world.db, sender.worker, self.links, world.clock, world.ids, configured=configured
        )

    def suppressions(self, sender: worlds.Sender) -> Suppressions:
        return Suppressions(self.world.db, sender.worker, self.world.clock, self.world.ids)

    async def add(
        self,
        sender: worlds.Sender,
        account: UUID,
        email: str = "ann@example.com",
        types: tuple[str, ...] = (),
        *,
        configured: bool = True,
    ) -> EmailAddress:
        """Adds an address, as its owner does."""
        addresses = self.addresses(sender, configured=configured)
        async with self.world.db.transaction() as tx:
            return await addresses.create(tx, account, check(email, "", types))

    async def confirmed(
        self, sender: worlds.Sender, account: UUID, email: str = "ann@example.com"
    ) -> EmailAddress:
        """Adds an address that has been confirmed before; the confirmation is settled."""
        address = await self.add(sender, account, email)
        await self.world.settled()
        await self.world.db.execute(
            "update email_addresses set state = 2, confirm_time = now() where id = $1", address.id
        )
        return address


def token_in(text: str, kind: str = "confirmations") -> str:
    """The token of the link in an e-mail."""
    found = [match[2] for match in TOKEN.finditer(text) if match[1] == kind]
    assert found, text
    return found[0]
