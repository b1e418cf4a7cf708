"""Records as CloudEvents 1.0 in binary mode (the Kafka protocol binding, §3.2).

The key is the record's key, the value is the bare protobuf message, and each attribute is a header
with the prefix "ce_". `traceparent` stays a plain header, where W3C Trace Context libraries look.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from libs.events.record import Record

CONTENT_TYPE = "application/protobuf"
PREFIX = "ce_"
RESERVED = frozenset({"content-type"})

# The type of what is in the log and is none of our records; the header of that name says why.
MALFORMED = "pq-malformed"

_FIXED = [("ce_specversion", b"1.0"), ("content-type", CONTENT_TYPE.encode())]


class MalformedRecordError(Exception):
    """What is in the log is none of our records."""


def to_headers(record: Record) -> list[tuple[str, bytes]]:
    """The headers of one record."""
    return [
        *_FIXED,
        ("ce_id", str(record.id).encode()),
        ("ce_type", record.type.encode()),
        ("ce_source", record.source.encode()),
        ("ce_time", record.time.isoformat().encode()),
        *((name, value.encode()) for name, value in record.headers.items()),
    ]


def from_headers(
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes]],
) -> Record:
    """The inverse of `to_headers`. Raises MalformedRecordError, which names what is missing."""
    found = dict(headers)
    rest = {
        name: data.decode("utf-8", "replace")
        for name, data in found.items()
        if not name.startswith(PREFIX) and name not in RESERVED
    }
    try:
        return Record(
            UUID(found["ce_id"].decode("utf-8", "replace")),
            topic,
            partition,
            (key or b"").decode(),
            found["ce_type"].decode("utf-8", "replace"),
            datetime.fromisoformat(found["ce_time"].decode("utf-8", "replace")),
            found["ce_source"].decode("utf-8", "replace"),
            value or b"",
            rest,
        )
    except KeyError as error:
        raise MalformedRecordError(f"no header {error.args[0]}") from None
    except ValueError as error:
        raise MalformedRecordError(str(error)) from None
