"""Prices as of a day: the only door through which analytics reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.market.analytics.kernels import logs_of

Cents = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

# Stands for "no quote" in cents.
NONE = -1


class LookAheadError(LookupError):
    """A day was asked for that lies after the day as of which the panel speaks."""


class _Logs:
    """The logarithms of a matrix: made when first asked for, shared by all views of it."""

    def __init__(self, cents: Cents) -> None:
        self._cents = cents
        self._made: Floats | None = None

    def __call__(self) -> Floats:
        if self._made is None:
            logs, _ = logs_of(self._cents)
            logs.flags.writeable = False
            self._made = logs
        return self._made


@dataclass(frozen=True)
class Panel:
    """One kind of price (market, low …) of n cards on consecutive calendar days.

    Row i is the same card throughout, whatever its order means to the caller; a day without a
    file is a column without quotes. The days after `last` may lie in the same memory, but nothing
    here hands them out.
    """

    first: date
    day_count: int
    # cards × all days that were loaded; read-only.
    _cents: Cents
    _logs: _Logs

    @classmethod
    def load(cls, first: date, cents: Cents) -> Panel:
        """A panel from cents (cards × days, int32, NONE where there is no quote).

        Raises ValueError for another shape, for a price of 0 or a negative one other than NONE.
        """
        if cents.ndim != 2 or cents.dtype != np.int32:
            raise ValueError("cents must be a matrix of int32, cards × days")
        kept = np.ascontiguousarray(cents).view()
        kept.flags.writeable = False
        if kept.size and (kept.min() < NONE or not kept.all()):
            raise ValueError("a price must be above 0; NONE stands for no quote")
        return cls(first, kept.shape[1], kept, _Logs(kept))

    @property
    def card_count(self) -> int:
        """How many rows."""
        return len(self._cents)

    @property
    def last(self) -> date:
        """The day as of which the panel speaks. Raises ValueError where it has no day at all."""
        if not self.day_count:
            raise ValueError("the panel has no day")
        return self.first + timedelta(days=self.day_count - 1)

    @property
    def cents(self) -> Cents:
        """Cents, cards × days up to `last`; NONE where there is no quote."""
        return self._cents[:, : self.day_count]

    @property
    def logs(self) -> Floats:
        """Natural logarithms of cents, cards × days up to `last`; NaN where there is no quote."""
        return self._logs()[:, : self.day_count]

    @cached_property
    def for_kernels(self) -> tuple[Floats, int]:
        """The whole contiguous matrix and how many of its columns may be read.

        Kernels are compiled for one layout, so they take the matrix whole and stop by the count.
        """
        return self._logs(), self.day_count

    def __iter__(self) -> Iterator[date]:
        """The days, in order."""
        return (self.first + timedelta(days=number) for number in range(self.day_count))

    def index(self, day: date) -> int:
        """The column of a day. Raises LookAheadError, or KeyError for a day before the first."""
        place = (day - self.first).days
        if place >= self.day_count:
            raise LookAheadError(f"{day} lies after {self.last}, as of which the panel speaks")
        if place < 0:
            raise KeyError(f"{day} lies before {self.first}, the panel's first day")
        return place

    def as_of(self, day: date) -> Panel:
        """The panel as it was at the end of `day`; shares memory, costs nothing.

        Raises as index() does.
        """
        return Panel(self.first, self.index(day) + 1, self._cents, self._logs)

    def truncated(self, day: date) -> Panel:
        """The same with the later days cut off in memory too, for the look-ahead guard."""
        return Panel.load(self.first, self._cents[:, : self.index(day) + 1].copy())

    def take(self, rows: npt.NDArray[np.int64]) -> Panel:
        """Only these cards, in this order; copies."""
        return Panel.load(self.first, np.ascontiguousarray(self.cents[rows]))
