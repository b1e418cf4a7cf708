"""What must happen for an alert to fire, in exact integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from services.alerts.domain import money
from services.alerts.domain.faults import FieldError

# A percentage is kept in ten-thousandths of a percent: 10 % is 100,000, and 100 % is this.
WHOLE = 1_000_000
MAX_PERCENT = 100_000
MAX_SCALED = MAX_PERCENT * (WHOLE // 100)


class Kind(IntEnum):
    """The kinds of condition; the numbers are those in the database."""

    PRICE_ABOVE = 1
    PRICE_BELOW = 2
    MOVE = 3
    MOVE_UP = 4
    MOVE_DOWN = 5

    @property
    def is_level(self) -> bool:
        """Whether it is about a price, rather than about a change of it."""
        return self in (Kind.PRICE_ABOVE, Kind.PRICE_BELOW)

    @property
    def public(self) -> str:
        """The kind's name in the API and in events."""
        return self.name.lower() if self.is_level else "percentage_change"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on one card's market price.

    `value` is a level in hundredths of `currency`, or a share in ten-thousandths of a percent; a
    share has no currency.
    """

    kind: Kind
    value: int
    currency: str | None = None

    def holds(self, price: int | None) -> bool:
        """For a level: whether it holds at `price` (hundredths); it never does without one."""
        if price is None:
            return False
        return price >= self.value if self.kind is Kind.PRICE_ABOVE else price <= self.value

    def reached(self, price: int | None, previous: int | None) -> bool:
        """For a share: whether the move from `previous` to `price` (hundredths) reaches it.

        Nothing is a share of nothing: no previous price, or one of 0, is never moved from.
        """
        if price is None or not previous:
            return False
        if self.kind is Kind.MOVE_UP and price < previous:
            return False
        if self.kind is Kind.MOVE_DOWN and price > previous:
            return False
        return abs(price - previous) * WHOLE >= previous * self.value

    @property
    def percent(self) -> float | None:
        """For a share: in percent."""
        return None if self.kind.is_level else self.value / (WHOLE // 100)


def level(kind: Kind, currency: str, amount: str) -> Condition:
    """A price level. Raises FieldError naming "currency_code" or "amount"."""
    return Condition(kind, money.hundredths(currency, amount), currency)


def move(kind: Kind, percent: float) -> Condition:
    """A relative move. Raises FieldError naming "percent"."""
    if not math.isfinite(percent) or not 0 < percent <= MAX_PERCENT:
        expected = f"expected more than 0 and at most {MAX_PERCENT:,}; got {percent!r}"
        raise FieldError("percent", "out_of_range", expected)
    # repr() is the shortest decimal that is this double: what the caller wrote.
    scaled = Decimal(repr(percent)) * (WHOLE // 100)
    if scaled != scaled.to_integral_value():
        raise FieldError("percent", "too_many_decimals", "expected at most four decimals")
    return Condition(kind, int(scaled))
