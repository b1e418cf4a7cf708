"""Who reads which partition of the PostgreSQL log: members by heartbeat, shares by count.

A member that is silent for longer than the expiry loses its claims; the others take them. What is
over a member's share is drained first, then handed over. A claim is no proof: the consumer's own
position, moved by compare-and-set, is what keeps a member that lost its claim from doing harm.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

from libs.db import Database, Tx
from libs.events.log import LogUnavailableError, Owner
from libs.events.postgres_database import GROUP_CHANNEL, LogDatabase, unavailable
from libs.events.postgres_reader import PostgresReader
from libs.events.record import Partition

log = logging.getLogger(__name__)

_LOCK_CLASS = 0x7071_6772

_BEAT = """
insert into log_members (consumer, member, heartbeat) values ($1, $2, clock_timestamp())
on conflict (consumer, member) do update set heartbeat = excluded.heartbeat
returning (xmax = 0) as joined
"""
_EXPIRE = (
    "delete from log_members where consumer = $1 and heartbeat < clock_timestamp() - $2::interval"
)
_ORPHANS = """
delete from log_claims c where consumer = $1 and not exists (
    select 1 from log_members m where m.consumer = c.consumer and m.member = c.member
)
"""
_CLAIM = """
insert into log_claims (consumer, part, member)
select $1, u.part, $2 from unnest($3::int[]) as u(part)
where not exists (select 1 from log_claims c where c.consumer = $1 and c.part = u.part)
limit $4
returning part
"""
_REGISTER = """
insert into log_positions (consumer, part, position)
select $1, part, first from log_parts where part = any ($2) on conflict do nothing
"""
_COMMIT = """
update log_positions p set position = c.position, update_time = clock_timestamp()
from unnest($2::int[], $3::bigint[]) as c(part, position)
where p.consumer = $1 and p.part = c.part and p.position < c.position
"""


class PostgresMember(PostgresReader):
    """See `libs.events.log.Member`."""

    def __init__(
        self,
        home: LogDatabase,
        db: Database,
        consumer: str,
        parts: Mapping[Partition, int],
        listener: Owner,
    ) -> None:
        super().__init__(home, db, parts)
        self._consumer = consumer
        self._listener = listener
        self._id: UUID = uuid4()
        self._owned: set[int] = set()
        self._beaten = time.monotonic()
        self._group_moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Registers the consumer, and takes a first share."""
        async with unavailable():
            await self._db.execute(_REGISTER, self._consumer, list(self._by_part))
        self._home.listen(GROUP_CHANNEL, self._group_moved)
        self._task = asyncio.create_task(self._beat())

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """See `Member.commit`."""
        parts = [self._parts[partition] for partition in positions]
        async with unavailable():
            await self._db.execute(_COMMIT, self._consumer, parts, list(positions.values()))

    async def close(self) -> None:
        """See `Reader.close`: drains, and hands everything over."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._home.unlisten(GROUP_CHANNEL, self._group_moved)
        await super().close()
        await self._revoke(set(self._owned))
        with suppress(LogUnavailableError):
            async with unavailable(), self._db.transaction() as tx:
                for table in ("log_claims", "log_members"):
                    await tx.execute(
                        f"delete from {table} where consumer = $1 and member = $2",  # noqa: S608
                        self._consumer,
                        self._id,
                    )
                await self._tell(tx)

    async def _beat(self) -> None:
        timing = self._home.timing
        while True:
            self._group_moved.clear()
            try:
                await self._tick()
            except LogUnavailableError as error:
                log.warning("heartbeat failed", extra={"error": str(error)})
                if time.monotonic() - self._beaten > timing.expiry:
                    await self._revoke(set(self._owned))
            except Exception:
                log.exception("heartbeat failed; it goes on", extra={"consumer": self._consumer})
            with suppress(TimeoutError):
                async with asyncio.timeout(timing.heartbeat):
                    await self._group_moved.wait()

    async def _tick(self) -> None:
        began = time.monotonic()
        async with unavailable(), self._db.transaction() as tx:
            # Nothing here needs to outlive a crash of the server.
            await tx.execute("set local synchronous_commit = off")
            await self._lock(tx)
            moved = await self._census(tx)
            claims, share = await self._share(tx)
            if len(claims) < share:
                claims |= await self._claim(tx, share - len(claims))
            if moved:
                await self._tell(tx)
        self._beaten = began
        await self._revoke(self._owned - claims)
        gained = claims - self._owned
        if gained:
            self._owned |= gained
            await self._listener.assigned([self._by_part[part] for part in sorted(gained)])
            self.interrupt()
        if len(self._owned) > share:
            await self._hand_over(set(sorted(self._owned)[share:]))

    async def _lock(self, tx: Tx) -> None:
        await tx.execute(
            "select pg_advisory_xact_lock($1, hashtext($2))", _LOCK_CLASS, self._consumer
        )

    async def _census(self, tx: Tx) -> bool:
        """Beats, and buries the silent. Answers whether the group changed."""
        joined = await tx.fetchval(_BEAT, self._consumer, self._id)
        expiry = timedelta(seconds=self._home.timing.expiry)
        expired = await tx.execute(_EXPIRE, self._consumer, expiry)
        if expired != "DELETE 0":
            await tx.execute(_ORPHANS, self._consumer)
        return bool(joined) or expired != "DELETE 0"

    async def _share(self, tx: Tx) -> tuple[set[int], int]:
        """What we claim, and how many partitions are our share."""
        rows = await tx.fetch(
            "select part from log_claims where consumer = $1 and member = $2",
            self._consumer,
            self._id,
        )
        members = await tx.fetchval(
            "select count(*) from log_members where consumer = $1", self._consumer
        )
        return {row["part"] for row in rows}, -(-len(self._parts) // members)

    async def _claim(self, tx: Tx, count: int) -> set[int]:
        rows = await tx.fetch(_CLAIM, self._consumer, self._id, sorted(self._by_part), count)
        return {row["part"] for row in rows}

    async def _hand_over(self, surplus: set[int]) -> None:
        await self._revoke(surplus)
        async with unavailable(), self._db.transaction() as tx:
            await tx.execute(
                "delete from log_claims where consumer = $1 and member = $2 and part = any ($3)",
                self._consumer,
                self._id,
                list(surplus),
            )
            await self._tell(tx)

    async def _revoke(self, parts: Collection[int]) -> None:
        """Has what is in flight of these finished, and reads them no more."""
        if not parts:
            return
        partitions = [self._by_part[part] for part in sorted(parts)]
        await self._listener.revoked(partitions)
        for partition in partitions:
            self.drop(partition)
        self._owned -= set(parts)

    async def _tell(self, tx: Tx) -> None:
        await tx.execute("select pg_notify($1, $2)", GROUP_CHANNEL, self._consumer)
