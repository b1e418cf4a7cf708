"""Studies: factor reports and backtests, and what a backtest may be asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

from libs.errors import Violation, invalid_all
from services.market.analytics.backtest import Rules
from services.market.analytics.factor_report import FACTORS

MAX_UNFINISHED = 3
MAX_NAME = 200


class Kind(IntEnum):
    """What is studied."""

    FACTORS = 1
    BACKTEST = 2


class State(IntEnum):
    """How far a study is; the numbers are the contract's."""

    WAITING = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it is stored. `asked` and `result` are JSON; the days, the versions, the seconds
    and the result are there once it is done."""

    id: UUID
    kind: Kind
    source: str
    source_number: int
    account: UUID | None
    asked: Mapping[str, Any]
    state: State
    error: str
    create_time: datetime
    end_time: datetime | None = None
    first_day: date | None = None
    last_day: date | None = None
    data_version: int | None = None
    code_version: str | None = None
    seconds: float | None = None
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A backtest to be made, checked: by what cards are ranked, the rules, and the first day; None
    for 90 days after the source's first."""

    weights: Mapping[str, float]
    rules: Rules
    first: date | None


def check(weights: Mapping[str, float], rules: Rules, first: date | None) -> Asked:
    """Raises AppError (INVALID) naming each field that is out of bounds."""
    faults = [
        Violation(f"backtest.rules.weights[{name}]", f"expected one of {', '.join(FACTORS)}")
        for name in weights
        if name not in FACTORS
    ]
    if not weights or not all(math.isfinite(w) for w in weights.values()):
        faults.append(
            Violation("backtest.rules.weights", "expected numbers for one factor or more")
        )
    elif not any(weights.values()):
        faults.append(Violation("backtest.rules.weights", "expected one that is not 0"))
    bounds: tuple[tuple[str, float, float, float], ...] = (
        ("rebalance_days", rules.every, 1, 365),
        ("share", rules.share, 1e-4, 1),
        ("most_cards", rules.most, 1, 500),
        ("copies", rules.copies, 1, 1_000),
        ("least_cents", rules.least_cents, 1, 10_000_000),
        ("fee", rules.fee, 0, 0.99),
        ("fee_cents", rules.fee_cents, 0, 100_000),
        ("premium", rules.premium, 0, 0.99),
        ("start_cents", rules.start, 100, 10**12),
    )
    faults += [
        Violation(f"backtest.rules.{name}", f"expected {low:g} to {high:g}; got {value:g}")
        for name, value, low, high in bounds
        if not low <= value <= high
    ]
    if faults:
        raise invalid_all(faults)
    return Asked(dict(weights), rules, first)
