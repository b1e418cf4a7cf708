"""How far a price can be trusted: stale cards, stale parts of a source, a score by parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from services.market.analytics import kernels
from services.market.analytics.panel import NONE, Panel

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

UNKNOWN = -1
# Days over which moves are counted.
STALE_WINDOW = 90


@dataclass(frozen=True, slots=True)
class Staleness:
    """Per card, UNKNOWN (−1) where it never was: how often it moved, and how long ago.

    moves: in the window. move_age: days since the last move seen at all. quote_age: days since the
    last quote.
    """

    window: int
    moves: Counts
    move_age: Counts
    quote_age: Counts

    def sentence(self, card: int) -> str:
        """As people read it: "moved 2 times in 90 days, last 41 days ago"."""
        if self.quote_age[card] == UNKNOWN:
            return "never quoted"
        return sentence(self.window, int(self.moves[card]), int(self.move_age[card]))


def sentence(window: int, moves: int, move_age: int) -> str:
    """How stale a price is, as people read it; `move_age` is UNKNOWN where no move was seen."""
    times = "once" if moves == 1 else f"{moves} times"
    last = "" if move_age == UNKNOWN else f", last {_ago(move_age)}"
    return f"moved {times} in {window} days{last}"


def _ago(days: int) -> str:
    return {0: "today", 1: "1 day ago"}.get(days, f"{days} days ago")


def staleness(market: Panel, window: int = STALE_WINDOW) -> Staleness:
    """How stale each card's market price is on the panel's last day."""
    moves = kernels.moves(*market.for_kernels, window)[:, kernels.MOVES].astype(np.int64)
    ages = kernels.ages(*market.for_kernels)
    return Staleness(window, moves, ages[:, 1], ages[:, 0])


class Health(Enum):
    """What becomes of a part of a source on a day."""

    SOUND = "sound"
    # Published, and marked: fewer prices moved than usual.
    DEGRADED = "degraded"
    # Not published: what came is yesterday's, or nearly.
    BLOCKED = "blocked"
    # Too few days to judge by; published.
    NEW = "new"


@dataclass(frozen=True, slots=True)
class HealthRule:
    """When a part of a source is stale; shares of the trailing median of the moved share."""

    trailing: int = 28
    least_days: int = 7
    degraded: float = 0.60
    blocked: float = 0.15


@dataclass(frozen=True, slots=True)
class PartHealth:
    """The verdict with what it rests on; `usual` is NaN where it is NEW."""

    health: Health
    moved: float
    usual: float
    identical: bool


def moved_share(market: Panel, rows: Mask | None = None) -> Floats:
    """By day the share of cards, quoted on it and the day before, whose price moved.

    `rows` picks the part's cards. NaN on the first day and where no card was quoted on both.
    """
    cents = market.cents if rows is None else market.cents[rows]
    out = np.full(market.day_count, np.nan)
    both = (cents[:, 1:] != NONE) & (cents[:, :-1] != NONE)
    moved = (both & (cents[:, 1:] != cents[:, :-1])).sum(axis=0)
    counts = both.sum(axis=0)
    np.divide(moved, counts, out=out[1:], where=counts > 0)
    return out


def judge(
    shares: Floats, *, identical: bool = False, rule: HealthRule = HealthRule()
) -> PartHealth:
    """Judges the last of `shares` (see moved_share) by those before it; `identical` is of the file.

    An identical file blocks whatever came before.
    """
    today = float(shares[-1]) if len(shares) else np.nan
    past = shares[-1 - rule.trailing : -1]
    past = past[~np.isnan(past)]
    usual = float(np.median(past)) if len(past) >= rule.least_days else np.nan
    if identical:
        return PartHealth(Health.BLOCKED, today, usual, identical=True)
    if np.isnan(today) or np.isnan(usual):
        health = Health.NEW
    elif today < rule.blocked * usual:
        health = Health.BLOCKED
    else:
        health = Health.DEGRADED if today < rule.degraded * usual else Health.SOUND
    return PartHealth(health, today, usual, identical=False)


def coverage(market: Panel, within: int = 30) -> float:
    """Of the cards quoted within so many days, the share that is quoted today; NaN of none."""
    known = (market.cents[:, -within:] != NONE).any(axis=1)
    today = np.count_nonzero(market.cents[:, -1] != NONE)
    return today / int(known.sum()) if known.any() else float("nan")


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """What makes a quality score, as data: weights of its parts, and where each is full."""

    version: str = "2026-1"
    weights: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(
            {"freshness": 0.3, "movement": 0.25, "coverage": 0.2, "agreement": 0.15, "trust": 0.1}
        )
    )
    stale_days: int = 30
    full_moves: int = 15
    window: int = 90
    ratio: tuple[float, float] = (0.3, 1.2)


@dataclass(frozen=True, slots=True)
class Scores:
    """Per card a score from 0 to 1 and its parts, each from 0 to 1; NaN where never quoted.

    freshness: days since the quote. movement: moves in the window. coverage: days quoted in it.
    agreement: whether the lowest ask is near the market price, a half where none is known. trust: 0
    under an open suspicion (see ticks), else 1.
    """

    score: Floats
    parts: Mapping[str, Floats]


def scores(market: Panel, low: Panel, suspected: Mask, rule: ScoreRule = ScoreRule()) -> Scores:
    """The quality of each card's price on the last day; `suspected` marks open suspicions."""
    stale = staleness(market, rule.window)
    age = stale.quote_age.astype(np.float64)
    seen = (market.cents[:, -1 - rule.window :] != NONE).sum(axis=1)
    span = min(rule.window + 1, market.day_count)
    parts = {
        "freshness": np.clip(1 - age / rule.stale_days, 0, 1),
        "movement": np.clip(stale.moves / rule.full_moves, 0, 1),
        "coverage": seen / span,
        "agreement": _agreement(market, low, rule.ratio),
        "trust": np.where(suspected, 0.0, 1.0),
    }
    never = stale.quote_age == UNKNOWN
    parts = {name: np.where(never, np.nan, values) for name, values in parts.items()}
    whole = sum(rule.weights.values())
    score = np.zeros(market.card_count)
    for name, weight in rule.weights.items():
        score += weight / whole * parts[name]
    return Scores(score, MappingProxyType(parts))


def _agreement(market: Panel, low: Panel, bounds: tuple[float, float]) -> Floats:
    ratio = ask_ratio(market, low)
    near = (ratio >= bounds[0]) & (ratio <= bounds[1])
    return np.where(np.isnan(ratio), 0.5, np.where(near, 1.0, 0.0))


def ask_ratio(market: Panel, low: Panel) -> Floats:
    """Per card low / market of the last day; NaN where either is unknown."""
    price, ask = market.cents[:, -1], low.cents[:, -1]
    ratio = np.full(len(price), np.nan)
    np.divide(ask, price, out=ratio, where=(price != NONE) & (ask != NONE))
    return ratio
