"""Tells whoever listens when a day is published with its signals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from libs.db import Database, is_transient
from services.market.domain.pipeline import Published
from services.market.store import published

log = logging.getLogger(__name__)

_POLL = 1.0


class Publications:
    """Looks for all listeners of this process at once, whichever process published."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._newest: Sequence[Published] = ()
        self._changed = asyncio.Event()

    async def keep_looking(self) -> None:
        """Looks every second until it is cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("publications wait for the database", extra={"error": repr(error)})
            await asyncio.sleep(_POLL)

    async def look(self) -> None:
        """Tells of what is new."""
        found = await published.newest_of_each(self._db)
        if found != self._newest:
            self._newest = found
            self._changed.set()
            self._changed = asyncio.Event()

    async def listen(self, seconds: float, heartbeat: float) -> AsyncIterator[Published | None]:
        """What is newest of each source, then whatever comes, for so many seconds; None where
        nothing came for `heartbeat` seconds."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        told: set[Published] = set()
        while True:
            changed = self._changed
            for one in self._newest:
                if one not in told:
                    yield one
            told = set(self._newest)
            left = ends - loop.time()
            if left <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(heartbeat, left)):
                    await changed.wait()
            if not changed.is_set():
                yield None
