"""A card's history in spans of days, weeks or months; what was not quoted stays visible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum


class Interval(IntEnum):
    """The contract's numbers."""

    DAY = 1
    WEEK = 2
    MONTH = 3


@dataclass(frozen=True, slots=True)
class Span:
    """The market prices of consecutive days in cents, None where none was quoted; `low` is the last
    lowest ask. The first and the last span may be cut by the ends that were asked for."""

    start: date
    end: date
    quoted_days: int = 0
    first: int | None = None
    last: int | None = None
    least: int | None = None
    most: int | None = None
    low: int | None = None


# A day, its market price, its lowest ask.
Quoted = tuple[date, int | None, int | None]


def spans(quotes: Iterable[Quoted], interval: Interval, start: date, end: date) -> list[Span]:
    """Spans from `start` to `end`, without gaps; `quotes` are in order of days."""
    found = list(_empty(interval, start, end))
    place = 0
    for day, market, low in quotes:
        if not start <= day <= end:
            continue
        while day > found[place].end:
            place += 1
        found[place] = _with(found[place], market, low)
    return found


def _with(span: Span, market: int | None, low: int | None) -> Span:
    low = span.low if low is None else low
    if market is None:
        return Span(
            span.start,
            span.end,
            span.quoted_days,
            span.first,
            span.last,
            span.least,
            span.most,
            low,
        )
    return Span(
        span.start,
        span.end,
        span.quoted_days + 1,
        market if span.first is None else span.first,
        market,
        market if span.least is None else min(span.least, market),
        market if span.most is None else max(span.most, market),
        low,
    )


def _empty(interval: Interval, start: date, end: date) -> Iterator[Span]:
    last_of = _LAST[interval]
    while start <= end:
        last = min(last_of(start), end)
        yield Span(start, last)
        start = last + timedelta(days=1)


def _month_end(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)


_LAST: dict[Interval, Callable[[date], date]] = {
    Interval.DAY: lambda day: day,
    Interval.WEEK: lambda day: day + timedelta(days=6 - day.weekday()),
    Interval.MONTH: _month_end,
}
