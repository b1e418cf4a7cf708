"""The quality gate: a day that hardly moved is most likely the day before once more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from libs.db import Reader
from services.market.analytics import quality
from services.market.domain.imports import Health, Mode
from services.market.handlers.versions import Version
from services.market.store import snapshots

# With fewer quotes a share says little, and a market of a few cards may well rest.
LEAST_QUOTES = 1000
_RULE = quality.HealthRule()
_HEALTHS = {
    quality.Health.NEW: Health.UNJUDGED,
    quality.Health.SOUND: Health.SOUND,
    quality.Health.DEGRADED: Health.DEGRADED,
    quality.Health.BLOCKED: Health.BLOCKED,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a day looks, and the share that is usual, None where it was not judged."""

    health: Health = Health.UNJUDGED
    usual: float | None = None


async def judge(
    reader: Reader, source: int, day: date, mode: Mode, quotes: int, changes: int
) -> Verdict:
    """Judges a day of news by how many of its quotes had changed; nothing else is judged."""
    if mode is not Mode.LIVE or quotes < LEAST_QUOTES:
        return Verdict()
    past = await snapshots.shares(reader, source, day, _RULE.trailing)
    found = quality.judge(np.array([*past, changes / quotes]))
    health = _HEALTHS[found.health]
    return Verdict(health, None if health is Health.UNJUDGED else found.usual)


def held_back(made: Version) -> Version:
    """The same version as no news."""
    nothing = np.zeros_like(made.changes.newest)
    return replace(made, changes=replace(made.changes, newest=nothing))
