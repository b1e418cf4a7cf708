"""Calendar months, each known by its first day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta


def month_of(day: date) -> date:
    """The month of a day."""
    return day.replace(day=1)


def following(month: date) -> date:
    """The month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def before(month: date, count: int = 1) -> date:
    """The month so many months before."""
    years, rest = divmod(month.month - 1 - count, 12)
    return date(month.year + years, rest + 1, 1)


def days_in(month: date) -> int:
    """How many days a month has."""
    return (following(month) - month).days


def cut(first: date, last: date) -> Iterator[tuple[date, date]]:
    """The days from `first` to `last` by months: the first and the last of each."""
    while first <= last:
        end = following(month_of(first))
        yield first, min(end - timedelta(days=1), last)
        first = end
