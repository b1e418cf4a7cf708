"""Events inside the transaction that publishes them: encoded on the spot, written at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any
from uuid import UUID
from zlib import crc32

import orjson
from google.protobuf.message import Message

from libs.clock import Clock
from libs.db.transaction import Connection
from libs.errors import AppError, Kind
from libs.events.catalog import Catalog, key_of, partition_for
from libs.events.cloudevents import PREFIX, RESERVED
from libs.events.record import Record
from libs.ids import Ids
from libs.obs import tracing

# Kafka's default for a batch of one record is 1 MiB; the rest is for key, headers, and for what a
# dead letter adds.
MAX_PAYLOAD = 1_048_576 - 16_384
MAX_KEY = 512
MAX_HEADERS = 4_096

# Publishers of one key take turns while they write their rows, so that ids are in commit order. One
# lock a key would run out of shared memory at 15,000 in a transaction.
SLOTS = 64
LOCK_CLASS = 0x7071_6F62

# From this many rows on COPY is quicker than an insert with arrays, its extra round trip included.
_COPY_FROM = 20

COLUMNS = (
    "event_id",
    "topic",
    "partition",
    "key",
    "type",
    "time",
    "source",
    "payload",
    "headers",
)

_LOCKS = "select pg_advisory_xact_lock($1, slot) from unnest($2::int[]) as slot"
_INSERT = f"""
insert into event_outbox ({", ".join(COLUMNS)})
select * from unnest(
    $1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
    $8::bytea[], $9::jsonb[]
)
"""  # noqa: S608 # the columns are the constant above


class Outbox:
    """The events of one database's transactions. Implements `libs.db.OutboxWriter`."""

    def __init__(self, catalog: Catalog, source: str, ids: Ids, clock: Clock) -> None:
        self.catalog = catalog
        self.source = source
        self._ids = ids
        self._clock = clock
        self._wakers: list[Callable[[], None]] = []

    def encode(
        self, message: Message, id: UUID | None = None, headers: Mapping[str, str] | None = None
    ) -> Record:
        """Serialises one event.

        Where `headers` has no traceparent, that of the current trace is taken. Raises CatalogError
        for a message that is no event, ValueError for a missing key or a wrong header, and AppError
        (TOO_LARGE) for what the log would refuse.
        """
        spec = self.catalog.spec(message)
        key = key_of(spec, message)
        if not 0 < len(key.encode()) <= MAX_KEY:
            raise ValueError(f"{spec.type}: {spec.key_field} must have 1 to {MAX_KEY} bytes")
        payload = message.SerializeToString()
        if len(payload) > MAX_PAYLOAD:
            raise AppError(
                Kind.TOO_LARGE,
                "event_too_large",
                f"an event {spec.type} has {len(payload):,} bytes; the limit is {MAX_PAYLOAD:,}",
            )
        return Record(
            id=id or self._ids.uuid(),
            topic=spec.topic,
            partition=partition_for(key, spec.partitions),
            key=key,
            type=spec.type,
            time=self._clock.now(),
            source=self.source,
            payload=payload,
            headers=_headers(headers),
        )

    async def write(self, connection: Connection, records: Sequence[Record]) -> None:
        """Writes the rows; the last statement of the transaction, for it takes the key locks."""
        await connection.execute(_LOCKS, LOCK_CLASS, slots(records))
        rows = [row(record) for record in records]
        if len(rows) >= _COPY_FROM:
            await connection.copy_records_to_table("event_outbox", columns=COLUMNS, records=rows)
        else:
            await connection.execute(_INSERT, *zip(*rows, strict=True))

    def on_wake(self, waker: Callable[[], None]) -> None:
        """Has the relay told of each commit that wrote rows."""
        self._wakers.append(waker)

    def off_wake(self, waker: Callable[[], None]) -> None:
        """The inverse of `on_wake`."""
        self._wakers.remove(waker)

    def wake(self) -> None:
        """Told after a commit that wrote rows."""
        for waker in self._wakers:
            waker()


def slots(records: Sequence[Record]) -> list[int]:
    """The lock slots of these records' keys, ascending: two publishers never wait in a circle."""
    keys = {(record.topic, record.key) for record in records}
    return sorted({crc32(f"{topic}\0{key}".encode()) % SLOTS for topic, key in keys})


def row(record: Record) -> tuple[Any, ...]:
    """The record in the order of COLUMNS."""
    return (
        record.id,
        record.topic,
        record.partition,
        record.key,
        record.type,
        record.time,
        record.source,
        record.payload,
        orjson.dumps(record.headers).decode() if record.headers else None,
    )


def record_of(stored: Any, topic: str, partition: int) -> Record:
    """The inverse of `row`, of a database row with those names."""
    headers = stored["headers"]
    return Record(
        stored["event_id"],
        topic,
        partition,
        stored["key"],
        stored["type"],
        stored["time"],
        stored["source"],
        stored["payload"],
        orjson.loads(headers) if headers else {},
    )


def _headers(given: Mapping[str, str] | None) -> Mapping[str, str]:
    if not given:
        return tracing.headers()
    headers = dict(given)
    if tracing.TRACEPARENT not in headers:
        headers |= tracing.headers()
    for name in headers:
        if not name.isascii() or not name.isprintable() or name != name.lower():
            raise ValueError(f"a header's name is lower-case ASCII, not {name!r}")
        if name.startswith(PREFIX) or name in RESERVED:
            raise ValueError(f"the header {name} is the log's own")
    if sum(map(len, chain(headers.keys(), headers.values()))) > MAX_HEADERS:
        raise ValueError(f"headers have more than {MAX_HEADERS} characters")
    if any("\0" in value for value in headers.values()):
        raise ValueError("a header's value has no NUL")
    return headers
