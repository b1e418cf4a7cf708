"""What a service's `build` makes its parts with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from libs.api import idempotency
from libs.api.paging import PageTokens
from libs.auth.tokens import CallerTokens, Minter, Verifier
from libs.clock import Clock, SystemClock
from libs.db import Database, MigrationError
from libs.ids import Ids
from libs.rpc import client
from libs.rpc.server import Server
from libs.runtime.background import Background
from libs.runtime.config import ServiceConfig
from libs.runtime.database import Folders, LazyDatabase, Opening
from libs.runtime.identity import Identity
from libs.runtime.parts import Part, Parts

if TYPE_CHECKING:
    from libs.events.consumer import Consumer
    from libs.events.log import Log
    from libs.events.relay import Relay

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]
PURGE_SECONDS = 3600.0


class Runtime:
    """One process: its clock, ids and identity, and the parts that are to run.

    Nothing runs while `build` does: background work begins once it has returned.
    """

    def __init__(
        self,
        config: ServiceConfig,
        version: str,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> None:
        self.config = config
        self.service = config.service_name()
        self.version = version
        self.clock = clock or SystemClock()
        self.ids = ids or Ids(self.clock)
        self.start_time: datetime = self.clock.now()
        self.parts = Parts()
        # Set when the process is to end; `fatal` is why, where it is not by request.
        self.stopping = asyncio.Event()
        self.fatal: BaseException | None = None
        self._identity = Identity.load(config, self.clock)
        self.server = Server(config.listen, self.verifier, reflection=config.reflection)
        self.databases: list[LazyDatabase] = []
        self.logs: list[Log] = []
        self.relays: list[Relay] = []
        self.consumers: list[Consumer] = []
        self.channels: list[grpc.aio.Channel] = []
        self.drains: list[Work] = []
        self.work: list[tuple[str, Work, Part]] = []
        self.background_tasks = Background()
        # Apart: they end first, while what they handed over can still be finished.
        self.consuming: list[tuple[str, Work, Part]] = []
        self.consumer_tasks = Background()

    # --- identity

    @property
    def minter(self) -> Minter:
        """Signs with this process's key; only the gateway's may speak for others."""
        return self._identity.minter

    @property
    def tokens(self) -> CallerTokens:
        """The same, each token handed out again for half its life."""
        return self._identity.tokens

    @property
    def verifier(self) -> Verifier:
        """Tells who an access token stands for."""
        return self._identity.verifier

    def page_tokens(self) -> PageTokens:
        """Makes and checks page tokens, with the key that all replicas share."""
        return self._identity.page_tokens

    def recall(self) -> idempotency.Recall:
        """Finds secrets again for who repeats a request; its key follows from that of the pages."""
        return self._identity.recall

    # --- state and events

    async def database(self, *, migrations: Folders = ()) -> Database:
        """The service's database, which may be away: it is opened and migrated in the background.

        Until then its calls raise what is_transient knows, RPCs answer UNAVAILABLE, and the process
        is not ready. `migrations` has a folder a namespace; those of libs come by themselves.
        """
        from libs.events import outbox
        from libs.events.catalog import Catalog

        writer = outbox.Outbox(Catalog.load(), f"/pq/{self.service}", self.ids, self.clock)
        folders = {
            "events": Path(outbox.__file__).with_name("migrations"),
            "api": idempotency.MIGRATIONS,
            **dict(migrations),
        }
        database, name = LazyDatabase(writer), "database"
        opening = Opening(
            self.config.database_url,
            f"pq-{self.service}",
            self.config.database_connections,
            list(folders.items()),
            self.parts.add(name),
        )
        self.databases.append(database)
        self.parts.wait_for(name)
        self.work.append((name, lambda: self._open(opening, database, name), opening.part))
        self.background("purge-request-keys", lambda: self._purge(database))
        return database

    async def event_log(self) -> Log:
        """The event log; not reached yet. Raises ConfigError for an address it cannot be."""
        from libs.config import ConfigError
        from libs.events.engines import open_log

        try:
            opened = open_log(self.config.event_log)
        except ValueError as error:
            raise ConfigError([f"PQ_EVENT_LOG: {error}"]) from None
        self.logs.append(opened)
        return opened

    def relay(self, db: Database, log: Log) -> Relay:
        """Sends what the transactions of `db` publish."""
        from libs.events.relay import Relay

        relay = Relay(db, log)
        self.relays.append(relay)
        self.background("relay", _once_reached(db, relay.run))
        return relay

    def consumer(self, name: str, db: Database, log: Log, handlers: Mapping[Any, Any]) -> Consumer:
        """Handles events: {event class: async handler(tx, batch)}."""
        from libs.events.consumer import Consumer

        consumer = Consumer(name, db, log, handlers)
        self.consumers.append(consumer)
        part = self.parts.add(f"consumer:{name}")
        self.consuming.append((part.name, _once_reached(db, consumer.run), part))
        return consumer

    # --- calls

    def servicer(self, add_to_server: Callable[[Any, Any], None], servicer: Any) -> None:
        """Serves it: `rt.servicer(add_XServicer_to_server, XServicer(...))`.

        Raises MissingRuleError for an RPC that does not say who may call it.
        """
        self.server.add(add_to_server, servicer)

    def channel(self, target: str, identity: client.Identity | None = None) -> grpc.aio.Channel:
        """A channel to another service, "dns:///host:port", in this service's own name.

        Failed calls raise AppError; see libs.rpc.client.
        """
        who = identity or client.ServiceIdentity(self.tokens, self.minter.issuer)
        channel = client.open_channel(target, who)
        self.channels.append(channel)
        return channel

    def plain_channel(self, target: str) -> grpc.aio.Channel:
        """A channel with our transport settings, whose calls are grpc's own."""
        channel = client.plain_channel(target)
        self.channels.append(channel)
        return channel

    # --- work

    def background(self, name: str, work: Work, *, needs: Database | None = None) -> Part:
        """Runs `work` until the process ends; it starts again, with backoff, when it fails.

        It begins at once, or when the database it `needs` has been reached.
        """
        if needs is not None:
            work = _once_reached(needs, work)
        part = self.parts.add(name)
        self.work.append((name, work, part))
        return part

    def periodic(self, name: str, seconds: float, work: Work) -> Part:
        """Runs `work` every so often, the first time after one interval."""

        async def forever() -> None:
            while True:
                await asyncio.sleep(seconds)
                await work()

        return self.background(name, forever)

    def on_drain(self, finish: Work) -> None:
        """Has `finish` awaited when the process ends, while calls under way finish as well.

        It gets the grace of the configuration; background tasks are cancelled after it.
        """
        self.drains.append(finish)

    def fail(self, error: BaseException) -> None:
        """Ends the process: no waiting mends this."""
        self.fatal = self.fatal or error
        self.stopping.set()

    async def _open(self, opening: Opening, database: LazyDatabase, name: str) -> None:
        from libs.obs import metrics

        try:
            await opening.open(database)
        except MigrationError as error:
            self.fail(error)
            return
        metrics.DB_UP.set(1)
        self.parts.arrived(name)

    async def _purge(self, database: LazyDatabase) -> None:
        while True:
            await idempotency.purge(database, self.clock.now())
            await asyncio.sleep(PURGE_SECONDS)


def _once_reached(db: Database, run: Work) -> Work:
    # They would back off on their own, and come seconds after the database does.
    if not isinstance(db, LazyDatabase):
        return run

    async def wait_and_run() -> None:
        await db.reached.wait()
        await run()

    return wait_and_run
