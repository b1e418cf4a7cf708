"""Follows the market's snapshots, and empties the cache at each."""

from __future__ import annotations

import logging

from gateway.http.cache import ReadCache
from libs.events.broadcast import Broadcast
from libs.events.log import Log, OutOfRangeError
from pq.market.v1.market_events_pb2 import SnapshotPublished

log = logging.getLogger(__name__)


class Invalidation:
    """Runs as long as the process; what comes before it is of no interest."""

    def __init__(self, events: Log, cache: ReadCache) -> None:
        self._events = events
        self._cache = cache

    async def run(self) -> None:
        """Clears the cache whenever a day, or a correction of one, is published."""
        while True:
            broadcast = Broadcast(self._events, SnapshotPublished)
            self._cache.follow(broadcast.age)
            self._cache.clear()
            try:
                async for _ in broadcast:
                    self._cache.clear()
            except OutOfRangeError as error:
                log.warning("snapshots were missed; starting over", extra={"error": str(error)})
