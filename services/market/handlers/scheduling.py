"""Fetches sources when it is time, and makes up for it after a downtime."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from libs.clock import Clock
from libs.db import Database
from services.market.domain.schedule import Scheduled
from services.market.handlers.fetching import RETRIES, Fetching
from services.market.sources.adapter import AwayError, DriftError
from services.market.store import fetches
from services.market.store.fetches import FetchState

log = logging.getLogger(__name__)

_LOOK = 20.0


class Scheduling:
    """The schedule of one process. Replicas may fetch the same day: the second takes nothing in."""

    def __init__(
        self, db: Database, clock: Clock, fetching: Fetching, schedule: Sequence[Scheduled]
    ) -> None:
        self._db = db
        self._clock = clock
        self._fetching = fetching
        self._schedule = schedule
        self._not_before: dict[str, datetime] = {}

    async def run(self) -> None:
        """Looks every so often until it is cancelled; a source that takes an hour holds up none."""
        async with asyncio.TaskGroup() as group:
            for daily in self._schedule:
                group.create_task(self._keep_looking(daily))

    async def _keep_looking(self, daily: Scheduled) -> None:
        while True:
            await self.look(daily)
            await asyncio.sleep(_LOOK)

    async def look(self, daily: Scheduled) -> bool:
        """Fetches if it is due; answers whether it tried.

        Due is what was not asked for since its time came, whenever the process started; a source
        that still serves an older day then, or failed, is asked again after a while.
        """
        now, due = self._clock.now(), daily.last(self._clock.now())
        if now < self._not_before.get(daily.source, now) or await self._done(daily, due):
            return False
        try:
            asked = await self._fetching(daily.source)
        except (AwayError, DriftError) as error:
            log.warning("a source does not answer", extra={"of": daily.source, "why": str(error)})
            self._not_before[daily.source] = now + timedelta(seconds=RETRIES[1])
            return True
        again = asked.fetch.next_time if asked.fetch is not None else None
        self._not_before[daily.source] = again or now + timedelta(seconds=RETRIES[2])
        return True

    async def _done(self, daily: Scheduled, due: datetime) -> bool:
        newest = await fetches.page(self._db, daily.source, None, 1)
        return bool(
            newest
            and newest[0].state is FetchState.SUCCEEDED
            and newest[0].end_time is not None
            and newest[0].end_time >= due
        )
