"""What became of a file, and what its day is to its source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from uuid import UUID

from services.market.domain.faults import RowFault


class Kind(IntEnum):
    """What a file holds; the contract's numbers."""

    PRICES = 1
    CATALOG = 2


class Mode(IntEnum):
    """What a day is to its source when it comes; the contract's numbers."""

    UNSPECIFIED = 0
    LIVE = 1
    BACKFILL = 2
    CORRECTION = 3


class Health(IntEnum):
    """How a day looked when it came; the contract's numbers."""

    UNJUDGED = 0
    SOUND = 1
    DEGRADED = 2
    BLOCKED = 3


@dataclass(frozen=True, slots=True)
class Import:
    """A file that was taken in; `day` is None for a catalogue, `version` where nothing differed.

    `raw` is where its bytes are kept, None where they are not.
    """

    id: UUID
    kind: Kind
    source: str
    day: date | None
    file_name: str
    sha256: str
    size: int
    create_time: datetime
    row_count: int
    accepted_count: int
    rejected_count: int
    faults: tuple[RowFault, ...]
    change_count: int
    version: int | None
    mode: Mode
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One published version of a day."""

    source: str
    day: date
    version: int
    publish_time: datetime
    quote_count: int
    change_count: int
    rejected_count: int
    import_id: UUID
    mode: Mode
    health: Health = Health.UNJUDGED
    usual_share: float | None = None
    release_time: datetime | None = None

    @property
    def is_held(self) -> bool:
        """Whether it is blocked and nobody has released it."""
        return self.health is Health.BLOCKED and self.release_time is None


def mode_of(day: date, *, published: bool, newest: date | None, backfill: bool) -> Mode:
    """What a day is: `published` before, and `newest` is the newest day its source has so far."""
    if published:
        return Mode.CORRECTION
    if backfill or (newest is not None and day < newest):
        return Mode.BACKFILL
    return Mode.LIVE
