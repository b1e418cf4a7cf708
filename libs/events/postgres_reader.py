"""Reading the PostgreSQL log: a few indexed ranges at a time, woken by NOTIFY."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby

import asyncpg

from libs.db import Database
from libs.events.log import Fetched, OutOfRangeError
from libs.events.outbox import record_of
from libs.events.postgres_database import CHANNEL, LogDatabase, unavailable
from libs.events.record import Partition, Stored

# A poll reads at most this much of each partition.
FETCH_RECORDS = 500
FETCH_BYTES = 1_048_576

# Seconds between reads while nothing wakes us: that is for when a NOTIFY was lost.
IDLE = 1.0
IDLE_DEAF = 0.1

_READ = """
select p.part, r.*
from unnest($1::int[], $2::bigint[], $3::int[]) as p(part, start, seg)
cross join lateral (
    select * from (
        select i."offset", i.seg, event_id, key, type, time, source, payload, headers,
            sum(octet_length(payload)) over (order by i."offset") - octet_length(payload) as before
        from (
            select * from log_records l
            where l.part = p.part and l."offset" >= p.start and l.seg >= p.seg
            order by l."offset" limit $4
        ) i
    ) b where before < $5
) r
"""


class PostgresReader:
    """See `libs.events.log.Reader`."""

    def __init__(self, home: LogDatabase, db: Database, parts: Mapping[Partition, int]) -> None:
        self._home = home
        self._db = db
        self._parts = parts
        self._by_part = {part: partition for partition, part in parts.items()}
        self._next: dict[Partition, int] = {}
        # The lowest segment that can have a partition's next record: reads touch no older ones.
        self._segment: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._contact = float("-inf")
        self._woken = asyncio.Event()
        self._interrupted = False
        home.listen(CHANNEL, self._woken)

    async def poll(self, timeout: float) -> Mapping[Partition, Fetched]:
        """See `Reader.poll`."""
        deadline = time.monotonic() + timeout
        while True:
            self._woken.clear()
            found = await self._fetch()
            left = deadline - time.monotonic()
            if found or left <= 0 or self._interrupted:
                self._interrupted = False
                return found
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, IDLE if self._home.hears else IDLE_DEAF)):
                    await self._woken.wait()

    def seek(self, partition: Partition, offset: int) -> None:
        """See `Reader.seek`."""
        self._next[partition] = offset
        self._segment[partition] = 0

    def pause(self, partition: Partition) -> None:
        """See `Reader.pause`."""
        self._paused.add(partition)

    def resume(self, partition: Partition) -> None:
        """See `Reader.resume`."""
        self._paused.discard(partition)

    def contact(self) -> float:
        """See `Reader.contact`."""
        return self._contact

    async def close(self) -> None:
        """See `Reader.close`."""
        self._home.unlisten(CHANNEL, self._woken)

    def interrupt(self) -> None:
        """Has a poll that waits return."""
        self._interrupted = True
        self._woken.set()

    def drop(self, partition: Partition) -> None:
        """No longer ours to read."""
        self._next.pop(partition, None)
        self._paused.discard(partition)

    async def _fetch(self) -> dict[Partition, Fetched]:
        began, settled = time.monotonic(), self._home.settled_segment
        active = [p for p in self._next if p not in self._paused]
        if not active:
            return {}
        asked = {partition: self._next[partition] for partition in active}
        async with unavailable():
            rows = await self._db.fetch(
                _READ,
                [self._parts[p] for p in active],
                list(asked.values()),
                [self._segment[p] for p in active],
                FETCH_RECORDS,
                FETCH_BYTES,
            )
        grouped = {self._by_part[part]: list(group) for part, group in groupby(rows, key=_part_of)}
        # What was moved or given away while we read is not for us.
        grouped = {p: group for p, group in grouped.items() if self._next.get(p) == asked[p]}
        for partition, group in grouped.items():
            _check_start(partition, asked[partition], group[0]["offset"])
        for partition in active:
            if partition in self._segment and partition not in grouped:
                self._segment[partition] = max(self._segment[partition], settled)
        if len(rows) < FETCH_RECORDS:
            self._contact = began
        return {partition: self._take(partition, group) for partition, group in grouped.items()}

    def _take(self, partition: Partition, rows: Sequence[asyncpg.Record]) -> Fetched:
        records = [
            Stored(found["offset"], record_of(found, partition.topic, partition.number))
            for found in rows
        ]
        self._next[partition] = records[-1].offset + 1
        self._segment[partition] = rows[-1]["seg"]
        return Fetched(records, self._next[partition])


def _part_of(found: asyncpg.Record) -> int:
    part: int = found["part"]
    return part


def _check_start(partition: Partition, expected: int, first: int) -> None:
    """Offsets have no gaps in this log: what is missing was dropped with its segment."""
    if first != expected:
        raise OutOfRangeError(partition, expected, f"is gone; the log begins at {first}")
