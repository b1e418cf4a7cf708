"""An anomaly as it is stored and shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Prices are in cents; `kind` is the contract's number."""

    id: UUID
    card: str
    display_name: str
    source: str
    currency: str
    day: date
    version: int
    kind: int
    before: int
    price: int
    score: float
    explanation: str
    resolution: str
    resolve_time: datetime | None
