"""Why an alert fired, in words."""

from __future__ import annotations

from services.alerts.domain import money
from services.alerts.domain.conditions import Condition, Kind
from services.alerts.domain.evaluation import Change


def reason(condition: Condition, change: Change) -> str:
    """A sentence with the values that decided; `change` has a price."""
    now = _price(change, change.price)
    if condition.kind.is_level:
        verb, side = (
            ("rose to", "at or above")
            if condition.kind is Kind.PRICE_ABOVE
            else ("fell to", "at or below")
        )
        level = _price(change, condition.value)
        if change.previous is None:
            return f"The first known price, {now} on {change.day}, is {side} {level}."
        return f"The price {verb} {now} on {change.day}, {side} {level}; {_before(change)}."
    moved = change_percent(change)
    asked = f"{condition.percent:.4f}".rstrip("0").rstrip(".")
    verb = "rose" if (moved or 0) > 0 else "fell"
    return (
        f"The price {verb} by {abs(moved or 0):.2f} % to {now} on {change.day}, at least {asked} %;"
        f" {_before(change)}."
    )


def change_percent(change: Change) -> float | None:
    """By how many percent the price moved; None where there was none before, or it was 0."""
    if change.price is None or not change.previous:
        return None
    return (change.price - change.previous) * 100 / change.previous


def _before(change: Change) -> str:
    return f"it was {_price(change, change.previous)} on {change.previous_day}"


def _price(change: Change, value: int | None) -> str:
    return f"{money.decimal(change.currency, value or 0)} {change.currency}"
