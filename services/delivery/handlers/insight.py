"""How endpoints have done, and why a message was not delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.api.wire import resource_name
from libs.clock import Clock
from libs.db import Database
from libs.errors import not_found
from services.delivery.domain.model import Delivery
from services.delivery.domain.timeline import Entry, summary, timeline
from services.delivery.store import endpoints, messages, statistics
from services.delivery.store.statistics import LaneNow, Period

LENGTHS = (timedelta(hours=1), timedelta(hours=24), timedelta(days=7))
# A message has few attempts; what is beyond was redelivered again and again.
_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True)
class Statistics:
    """An endpoint's lane as it is, and how it has done over each of LENGTHS."""

    lane: LaneNow
    periods: Sequence[Period]


@dataclass(frozen=True, slots=True)
class Story:
    """A delivery, in one sentence and in entries."""

    delivery: Delivery
    summary: str
    entries: Sequence[Entry]


class Insight:
    """Reads only."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def statistics(self, account: UUID | None, endpoint: UUID) -> Statistics:
        """How an endpoint has done; None stands for any account. Raises AppError (NOT_FOUND)."""
        owner = await endpoints.owner(self._db, endpoint)
        if owner is None or account not in (None, owner):
            raise not_found(resource_name("endpoints", "ep", endpoint))
        lane = await statistics.lane(self._db, endpoint)
        periods = [await statistics.period(self._db, owner, endpoint, length) for length in LENGTHS]
        return Statistics(lane, periods)

    async def timelines(self, account: UUID | None, id: UUID) -> list[Story]:
        """What happened to each delivery of a message. Raises AppError (NOT_FOUND)."""
        message = await messages.get(self._db, account, id)
        if message is None:
            raise not_found(resource_name("messages", "msg", id))
        deliveries = (await messages.deliveries(self._db, [id]))[id]
        attempts = await messages.attempts(self._db, id, None, _ATTEMPTS)
        holds = await statistics.holds(
            self._db, [one.endpoint for one in deliveries], message.create_time
        )
        first = await statistics.first_waits(self._db, id)
        now = self._clock.now()
        stories = []
        for one in deliveries:
            mine = [attempt for attempt in attempts if attempt.endpoint == one.endpoint]
            wait = first.get(one.endpoint, one.shown_reason)
            entries = timeline(one, message.create_time, mine, holds[one.endpoint], now, wait)
            stories.append(Story(one, summary(one, mine), entries))
        return stories
