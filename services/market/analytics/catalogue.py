"""The signals as data: name, formula, window, unit, source; and why a value may be unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType


class Reason(IntEnum):
    """Why a value is unknown; stable numbers, stored beside the values."""

    KNOWN = 0
    # No quote on the day or the FRESH − 1 days before.
    NO_QUOTE = 1
    # Under half of the window's days were quoted.
    TOO_FEW_QUOTES = 2
    TOO_FEW_MOVES = 3
    # No quote where the window begins, nor in the SLACK days before.
    NO_PAST_QUOTE = 4
    # All quotes of the window are equal, so nothing can be measured in their spread.
    CONSTANT = 5
    # No lowest ask on the day, or no market price on the very day to set it against.
    NO_LOW = 6
    # Two years of quotes are needed.
    SHORT_HISTORY = 7
    # Parts of under half of the composite's weight are known.
    TOO_FEW_PARTS = 8


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal. `window` is in days, 0 where only the day itself counts.

    `formula` uses ℓ for the logarithm of the price, r for returns between neighbouring quotes of
    the window, t for the day, w for the window. `source` names the kinds of price it is made of,
    or the signals.
    """

    name: str
    title: str
    formula: str
    window: int
    unit: str
    source: str = "market"


_PER_DAY = "log return per day"
_RETURN = "log return"
_FRACTION = "fraction"


def _trend(window: int) -> tuple[Signal, ...]:
    return (
        Signal(f"trend_{window}", f"Trend over {window} days", "Σr", window, _RETURN),
        Signal(
            f"trend_low_{window}",
            f"Trend over {window} days, lower bound",
            "Σr − 1.96·√Σr²; unknown under 10 moves",
            window,
            _RETURN,
        ),
        Signal(
            f"trend_high_{window}",
            f"Trend over {window} days, upper bound",
            "Σr + 1.96·√Σr²; unknown under 10 moves",
            window,
            _RETURN,
        ),
    )


def _movement(window: int) -> tuple[Signal, ...]:
    return (
        Signal(
            f"volatility_{window}",
            f"Volatility over {window} days",
            "√(Σ min(|r|, 5·median|r≠0|)² / days between first and last quote)",
            window,
            "log return per √day",
        ),
        Signal(f"moves_{window}", f"Moves in {window} days", "#{r ≠ 0}", window, "moves"),
        Signal(
            f"median_move_{window}",
            f"Median move in {window} days",
            "median |r| over r ≠ 0",
            window,
            _RETURN,
        ),
    )


CATALOGUE: tuple[Signal, ...] = (
    *(
        Signal(
            f"slope_{window}",
            f"Theil–Sen slope over {window} days",
            "median over i < j of (ℓⱼ − ℓᵢ) / (j − i)",
            window,
            _PER_DAY,
        )
        for window in (7, 30, 90)
    ),
    *_trend(30),
    *_trend(90),
    *(
        Signal(
            f"momentum_{window}", f"Momentum over {window} days", "ℓ(t) − ℓ(t − w)", window, _RETURN
        )
        for window in (7, 30, 90)
    ),
    *(
        Signal(
            f"reversion_z_{window}",
            f"Distance from the mean of {window} days",
            "(ℓ(t) − mean ℓ) / sd ℓ",
            window,
            "standard deviations",
        )
        for window in (30, 90)
    ),
    *_movement(30),
    *_movement(90),
    *(
        Signal(
            f"drawdown_{window}",
            f"Below the top of {window} days",
            "exp(ℓ(t) − max ℓ) − 1",
            window,
            _FRACTION,
        )
        for window in (90, 365)
    ),
    Signal(
        "ask_premium", "Lowest ask over market", "low / market − 1", 0, _FRACTION, "market, low"
    ),
    Signal("illiquidity_90", "Days without a move", "1 − moves / (quotes − 1)", 90, _FRACTION),
    Signal(
        "seasonality_30",
        "What the next 30 days did in earlier years",
        "mean over years k of ℓ(dₖ + 30) − ℓ(dₖ), less 30 days of the drift since the first dₖ; "
        "dₖ is the same date k years ago, k ≥ 1, two at least",
        30,
        _RETURN,
    ),
    Signal(
        "composite",
        "Composite",
        "Σ weight · rank within the day in (−1, 1), over Σ |weight| of the known parts",
        0,
        "score in (−1, 1)",
        "signals",
    ),
)

NAMES: tuple[str, ...] = tuple(signal.name for signal in CATALOGUE)


@dataclass(frozen=True, slots=True)
class Weights:
    """How the composite is made: signal to weight, under a version that is stored with it."""

    version: str
    parts: Mapping[str, float]

    def __post_init__(self) -> None:
        """Raises ValueError for an unknown signal, the composite itself, or no weight at all."""
        unknown = sorted(set(self.parts) - (set(NAMES) - {"composite"}))
        if unknown:
            raise ValueError(f"no such signals: {', '.join(unknown)}")
        if not any(self.parts.values()):
            raise ValueError("a composite needs a weight other than 0")


# Starting values: trend and momentum for, distance from the mean and asks below market against.
WEIGHTS = Weights(
    "2026-1",
    MappingProxyType(
        {
            "momentum_30": 0.35,
            "momentum_90": 0.20,
            "slope_30": 0.20,
            "ask_premium": 0.15,
            "illiquidity_90": -0.10,
        }
    ),
)


def table() -> str:
    """The catalogue in Markdown, as docs/methodology.md shows it."""
    rows = [
        f"| `{one.name}` | {one.title} | {one.formula.replace('|', '¦')} | {one.window or '–'} |"
        f" {one.unit} | {one.source} |"
        for one in CATALOGUE
    ]
    heading = (
        "| signal | | formula (¦ stands for the bars of an absolute value) | days | unit | of |"
    )
    return "\n".join([heading, "|---|---|---|---|---|---|", *rows])
