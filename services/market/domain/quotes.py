"""What readers are shown: cards with their headline, and quotes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Quote:
    """What one source quoted on one day; prices in cents, None where there was none."""

    day: date
    source: str
    currency: str
    condition: str
    market: int | None
    low: int | None
    mid: int | None
    high: int | None
    direct_low: int | None


@dataclass(frozen=True, slots=True)
class Card:
    """A card as lists show it; `headline` is None before its first quote."""

    number: int
    id: str
    category: str
    product_id: int
    printing: str
    display_name: str
    set_id: int
    set_name: str
    collector_number: str
    rarity: str
    sealed: bool | None
    image_uri: str
    headline: Quote | None
