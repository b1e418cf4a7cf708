"""What a seller would get now: the lower of market and lowest ask, less fees; exact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import numpy.typing as npt

from services.market.analytics.panel import NONE

Cents = npt.NDArray[np.int32]
Wide = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_WHOLE = 10_000


@dataclass(frozen=True, slots=True)
class Fees:
    """What a marketplace takes of a sale.

    rates: each in hundredths of a percent (1025 is 10.25 %), charged and rounded to the cent one
    by one, half up. fixed: cents a sale.
    """

    name: str
    rates: tuple[int, ...]
    fixed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for fees below 0 or of more than all."""
        if min((*self.rates, self.fixed), default=0) < 0 or sum(self.rates) > _WHOLE:
            raise ValueError("fees are from 0 to 100 %, and never negative")

    @classmethod
    def of(cls, name: str, percents: tuple[Decimal, ...], fixed: Decimal = Decimal(0)) -> Fees:
        """Fees from percentages and money, such as Decimal("10.25"); two places each.

        Raises ValueError for more places.
        """
        return cls(name, tuple(_hundredths(percent) for percent in percents), _hundredths(fixed))


def _hundredths(value: Decimal) -> int:
    scaled = value * 100
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{value} has more than two places")
    return int(scaled)


TCGPLAYER = Fees("tcgplayer", (1025, 250), 30)
EBAY = Fees("ebay", (1325,))


@dataclass(frozen=True, slots=True)
class Realisable:
    """Per card, in cents; 0 where `known` is False.

    gross: the lower of market and lowest ask, or the one that is known. of_low: it is the lowest
    ask. fees, net: net may be negative, where a sale costs more than it brings.
    """

    known: Mask
    gross: Wide
    of_low: Mask
    fees: Wide
    net: Wide

    def total(self) -> int:
        """What selling all would bring, less those cards that would cost more than they bring."""
        return int(self.net[self.known & (self.net > 0)].sum())


def realisable(market: Cents, low: Cents, fees: Fees, shipping: int = 0) -> Realisable:
    """What sales would bring at today's prices (cents, NONE for no quote).

    `shipping` is what a parcel costs the seller, in cents.
    """
    price, ask = market.astype(np.int64), low.astype(np.int64)
    of_low = (ask != NONE) & ((price == NONE) | (ask < price))
    gross = np.where(of_low, ask, price)
    known = gross != NONE
    gross = np.where(known, gross, 0)
    taken = np.full(len(gross), fees.fixed, np.int64)
    for rate in fees.rates:
        # Exact and half up: the product of 2^31 and 10^4 fits in 64 bits.
        taken += (gross * rate + _WHOLE // 2) // _WHOLE
    taken = np.where(known, taken, 0)
    return Realisable(known, gross, of_low, taken, np.where(known, gross - taken - shipping, 0))


def one(price: Decimal, fees: Fees, shipping: Decimal = Decimal(0)) -> Decimal:
    """The same for one price, in money: how the exact rule reads."""
    cent = Decimal("0.01")
    taken = sum(
        ((price * rate / _WHOLE).quantize(cent, ROUND_HALF_UP) for rate in fees.rates),
        Decimal(fees.fixed) / 100,
    )
    return (price - taken - shipping).quantize(cent, ROUND_HALF_UP)
