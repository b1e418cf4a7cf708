"""Delivery on a real database, with as many workers as a test asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from libs.api import idempotency
from libs.api.wire import resource_id, resource_name
from libs.clock import SystemClock
from libs.db import Database, migrate
from libs.events import outbox
from libs.events.catalog import Catalog
from libs.events.outbox import Outbox
from libs.events.record import Received, Record
from libs.ids import Ids
from pq.alerts.v1.alerts_events_pb2 import AlertTriggered
from pq.delivery.v1.delivery_events_pb2 import DeliverySettled
from services.delivery.app import MIGRATIONS
from services.delivery.channels.clients import Clients
from services.delivery.channels.resolver import Resolver, system_lookup
from services.delivery.channels.webhook import WebhookChannel
from services.delivery.domain.addresses import AddressPolicy, parse_networks
from services.delivery.domain.breaker import BreakerPolicy
from services.delivery.domain.model import Channel, Target
from services.delivery.domain.schedule import Schedule
from services.delivery.domain.settings import Settings
from services.delivery.domain.urls import UrlPolicy
from services.delivery.handlers.alerts import TellOfAlerts
from services.delivery.handlers.endpoints import Endpoints
from services.delivery.handlers.sweeping import Sweeps
from services.delivery.sending.dispatcher import Dispatcher, Limits
from services.delivery.sending.health import HealthPolicy
from services.delivery.sending.worker import Pace, Worker
from services.delivery.store import endpoint_targets, endpoints
from services.delivery.store.vault import Vault

FOLDERS = [
    ("events", Path(outbox.__file__).with_name("migrations")),
    ("api", idempotency.MIGRATIONS),
    ("delivery", MIGRATIONS),
]
POLICY = UrlPolicy(AddressPolicy(parse_networks(["127.0.0.0/8"])), allow_http=True)
TIMEOUT = 10.0
PACE = Pace(lifetime=1.0, beat=0.1, poll=0.05)
# No test opens a breaker by accident.
UNSHAKEN = HealthPolicy(BreakerPolicy(minimum=1_000_000))
PENDING, DELIVERED, FAILED, EXPIRED, CANCELLED = range(1, 6)


class Sender:
    """One worker with all that it runs; `kill` ends it as SIGKILL would: nothing is given back."""

    def __init__(self, world: World, channel: WebhookChannel, dispatcher: Dispatcher) -> None:
        self.channel = channel
        self.dispatcher = dispatcher
        self.worker = Worker(
            world.db, world.vault, dispatcher, world.clock, world.ids, world.pace, world.health
        )
        self.tell = TellOfAlerts(world.vault, self.worker, world.clock)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        parts = (self.worker.beat, self.worker.claim, self.worker.recorder.run)
        self._tasks = [asyncio.create_task(part()) for part in parts]
        await until(self.worker.holds_leases)

    async def kill(self) -> None:
        tasks = [*self._tasks, *self.dispatcher._tasks]
        self.dispatcher.pump = lambda: None  # type: ignore[method-assign]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self.channel.close()

    async def stop(self) -> None:
        """SIGTERM."""
        await self.worker.drain()
        await self.kill()


class World:
    def __init__(self, db: Database, catalog: Catalog) -> None:
        self.db = db
        self.catalog = catalog
        self.clock = SystemClock()
        self.ids = Ids(self.clock)
        self.vault = Vault({"k1": bytes(32)}, "k1")
        self.pace = PACE
        self.health = UNSHAKEN
        self.schedule = Schedule((0.05, 0.1, 0.15), jitter=0.0)
        self.sweeps = Sweeps(db, self.vault, PACE.lifetime)
        self.resolver = Resolver(POLICY.addresses, self.clock)
        self.endpoints = Endpoints(db, self.vault, POLICY, self.resolver, self.clock, self.ids)
        self.senders: list[Sender] = []

    async def sender(
        self,
        *,
        deadline: float = 5.0,
        limits: Limits | None = None,
        policy: UrlPolicy = POLICY,
        lookup: Callable[[str, int], Sequence[str]] = system_lookup,
        root: bytes | None = None,
        proxy: str | None = None,
    ) -> Sender:
        """A worker that runs."""
        channel = WebhookChannel(
            policy,
            Resolver(policy.addresses, self.clock, lookup),
            Clients(root=root, proxy=proxy),
            self.clock,
            deadline,
        )
        dispatcher = Dispatcher(
            {Channel.WEBHOOK: channel.send},
            self.clock,
            self.ids,
            self.schedule,
            limits or Limits(),
        )
        sender = Sender(self, channel, dispatcher)
        self.senders.append(sender)
        await sender.start()
        return sender

    async def endpoint(
        self, account: UUID, url: str, types: tuple[str, ...] = (), **more: Any
    ) -> UUID:
        """Creates an endpoint."""
        asked = await self.endpoints.check(Settings(url, event_types=types, **more))
        async with self.db.transaction() as tx:
            made, _ = await self.endpoints.create(tx, account, asked)
        return made.id

    async def target(self, name: str) -> Target:
        """What sending to the endpoint of that name needs."""
        id = resource_id("endpoints", "ep", name)
        return (await endpoint_targets.get(self.db, self.vault, [id]))[id]

    async def disable(self, name: str, reason: str) -> None:
        """Disables an endpoint, as its receiver's answers do."""
        async with self.db.transaction() as tx:
            await endpoints.disable(tx, [resource_id("endpoints", "ep", name)], reason)

    async def lose_key(self, name: str) -> None:
        """Has an endpoint's secrets sealed with a key that nobody has."""
        await self._set_key(name, "lost")

    async def find_key(self, name: str) -> None:
        """The inverse of `lose_key`."""
        await self._set_key(name, self.vault.current)

    async def _set_key(self, name: str, key_id: str) -> None:
        await self.db.execute(
            "update endpoint_secrets set key_id = $2 where endpoint = $1",
            resource_id("endpoints", "ep", name),
            key_id,
        )

    def fired(self, account: UUID, *, note: str = "", deliver_by: datetime | None = None) -> Any:
        """An event as a consumer gets it."""
        event = AlertTriggered(
            recipient=resource_name("accounts", "acc", account),
            alert="alerts/alr_1",
            card="cards/base1-4-holofoil",
            kind="price_above",
            day="2025-06-01",
            reason="12.50 USD is above 10.00 USD",
            note=note,
        )
        event.price.currency_code, event.price.amount = "USD", "12.50"
        event.fire_time.FromDatetime(datetime(2025, 6, 1, 12, tzinfo=UTC))
        if deliver_by is not None:
            by = Timestamp()
            by.FromDatetime(deliver_by)
            event.deliver_by.CopyFrom(by)
        headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        record = Record(
            id=self.ids.uuid(),
            topic="pq.alerts.triggered.v1",
            partition=0,
            key=event.recipient,
            type=AlertTriggered.DESCRIPTOR.full_name,
            time=self.clock.now(),
            source="/pq/alerts",
            payload=event.SerializeToString(),
            headers=headers,
        )
        return Received(record, 1, event)

    async def tell(self, sender: Sender, *received: Any) -> None:
        """Handles a batch, as the consumer does."""
        async with self.db.transaction() as tx:
            await sender.tell(tx, received)

    async def deliveries(self) -> list[Any]:
        """All deliveries, oldest first."""
        return await self.db.fetch("select * from deliveries order by message, endpoint")

    async def attempts(self) -> list[Any]:
        """All attempts, oldest first."""
        return await self.db.fetch("select * from attempts order by id")

    async def states(self) -> list[int]:
        return [row["state"] for row in await self.deliveries()]

    async def settled(self, count: int = 1) -> list[Any]:
        """Waits until so many deliveries are settled and none is leased; answers all of them."""

        async def done() -> bool:
            rows = await self.deliveries()
            ended = [row for row in rows if row["settle_time"] is not None]
            return len(ended) >= count and all(row["worker"] is None for row in rows)

        await until(done)
        return await self.deliveries()

    async def events(self, kind: Any = DeliverySettled) -> list[Any]:
        """What of a kind was published, in order."""
        rows = await self.db.fetch(
            "select payload from event_outbox where type = $1 order by id",
            kind.DESCRIPTOR.full_name,
        )
        return [kind.FromString(row["payload"]) for row in rows]


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout: float = TIMEOUT) -> None:
    """Waits until `condition` holds."""
    ends = time.monotonic() + timeout
    while True:
        holds = condition()
        if not isinstance(holds, bool):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < ends, "the condition did not come true"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def open_world(dsn: str) -> AsyncIterator[World]:
    """A world on an empty database."""
    await migrate(dsn, FOLDERS)
    catalog = Catalog.load()
    clock = SystemClock()
    box = Outbox(catalog, "/pq/delivery", Ids(clock), clock)
    db = await Database.connect(dsn, application="test", outbox=box)
    world = World(db, catalog)
    try:
        yield world
    finally:
        for sender in world.senders:
            await sender.kill()
        world.resolver.close()
        await db.close()


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
