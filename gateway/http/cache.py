"""Answers to public reads, held as the bytes that are sent.

The whole is dropped when a snapshot is published, and no answer is served past its time bound, for
a log that cannot be reached tells nothing. A read that began before a drop is not kept after it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from gateway.http import content
from gateway.http.request import Headers
from libs.clock import Clock

FOLLOWING = 30.0  # seconds an answer may be old while invalidations arrive
ALONE = 2.0  # seconds, while they do not
SILENCE = 15.0  # seconds without word from the log after which they do not
OVERHEAD = 1_024  # bytes of headers and bookkeeping an entry is reckoned at


class Entry:
    """One answer: its plain form, and its compressed form once somebody asked for it."""

    __slots__ = ("body", "packed", "packed_headers", "plain_headers", "size", "stored_at", "tag")

    def __init__(self, body: bytes, headers: Headers, stored_at: float) -> None:
        self.body = body
        self.tag = content.etag(body)
        self.stored_at = stored_at
        self.plain_headers = [*headers, ("etag", self.tag)]
        self.packed_headers = self.plain_headers
        self.packed = body
        if len(body) >= content.MIN_COMPRESSED:
            tag = content.etag_gzip(self.tag)
            self.packed_headers = [*headers, ("etag", tag), ("content-encoding", "gzip")]
            self.packed = b""
        self.size = len(body) + OVERHEAD

    def form(self, *, gzip: bool) -> tuple[Headers, bytes]:
        """Headers and body of the form the client takes."""
        if not gzip:
            return self.plain_headers, self.body
        if not self.packed and self.body:
            self.packed = content.gzip(self.body)
        return self.packed_headers, self.packed


class ReadCache:
    """Least recently used answers, bounded in bytes. `capacity` 0 keeps nothing."""

    def __init__(self, clock: Clock, capacity: int) -> None:
        self._clock = clock
        self._capacity = capacity
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()
        self._size = 0
        self._age: Callable[[], float] = lambda: math.inf
        self.generation = 0

    def get(self, path: str, query: str) -> Entry | None:
        """The answer to a path and query, while it is fresh."""
        entry = self._entries.get((path, query))
        if entry is None:
            return None
        old = self._clock.monotonic() - entry.stored_at
        # Asking the log costs more than the rest: only past the time that needs no invalidation.
        if old > ALONE and (old > FOLLOWING or self._age() > SILENCE):
            self._drop((path, query))
            return None
        self._entries.move_to_end((path, query))
        return entry

    def put(self, path: str, query: str, entry: Entry, generation: int) -> None:
        """Keeps an answer whose reading began in `generation`."""
        size = 2 * entry.size  # room for the compressed form too
        if generation != self.generation or size > self._capacity:
            return
        self._drop((path, query))
        self._entries[(path, query)] = entry
        self._size += size
        while self._size > self._capacity:
            self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        """Drops everything: the market has a new day."""
        self.generation += 1
        self._entries.clear()
        self._size = 0

    def follow(self, age: Callable[[], float]) -> None:
        """Takes what tells how old, in seconds, the last word from the log is."""
        self._age = age

    def _drop(self, key: tuple[str, str]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= 2 * entry.size

    def entry(self, body: bytes, headers: Headers) -> Entry:
        """An entry as of now."""
        return Entry(body, headers, self._clock.monotonic())
