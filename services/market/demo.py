"""A small made-up market, to try the product on: the same files in every run.

Prices behave as real ones were measured to: seven quotes in eight stay where they were, one in nine
has no market price, `high` is parked far off, a bad tick comes and goes, cards enter and leave, and
on one day the source stood nearly still. The names, cards and prices are invented.

    python -m services.market.demo FOLDER LAST-DAY

writes the files into a folder, as `pq up` does for a market that is empty.
"""

from __future__ import annotations

import csv
import io
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from services.market.domain import catalog, money, prices

SOURCE = "demo"
CATEGORY = "demo"
DAYS = 400
PRODUCTS = 240
SEED = 20_250_601

_SETS = ("Tidewrack", "Emberfall", "Hollow Crown", "Glasswood", "夜の庭", "Iron Orchard")
_FIRST = "Ash Bram Cinder Dusk Ever Fen Gale Haze Iris Jade Kelp Lumen Moss Nettle Onyx Pyre Quill"
_LAST = "back claw drake fang gill horn ibis jaw kite lynx moth newt owl pike ray stag toad wisp"
# Rarity, its share, and the middle of its prices in cents.
_RARITIES = (
    ("Common", 0.42, 18),
    ("Uncommon", 0.26, 35),
    ("Rare", 0.18, 240),
    ("Ultra Rare", 0.1, 1_900),
    ("Secret Rare", 0.04, 9_500),
)
_PRINTINGS = (("Normal", 1.0), ("Reverse Holofoil", 1.8), ("Holofoil", 2.6))


@dataclass(frozen=True, slots=True)
class DemoFile:
    """One file as the ingest takes it; `day` is None for the catalogue."""

    name: str
    day: date | None
    data: bytes


def files(
    last: date, *, days: int = DAYS, products: int = PRODUCTS, seed: int = SEED
) -> Iterator[DemoFile]:
    """The catalogue, then a file a day up to `last`, oldest first."""
    rng = random.Random(seed)  # noqa: S311 # a market that is the same every time, no secret
    made = [_product(rng, number) for number in range(1, products + 1)]
    rows = [product.row(last, days) for product in made]
    yield DemoFile("catalog.csv", None, _csv(catalog.COLUMNS, rows))
    cards = [_Card(rng, product, *printing, days) for product in made for printing in product.kinds]
    still = days * 3 // 4
    for step in range(days):
        day = last - timedelta(days=days - 1 - step)
        quoted = [
            (day.isoformat(), *card.quote(rng, step, stalled=step == still))
            for card in cards
            if card.enters <= step < card.leaves
        ]
        yield DemoFile(f"{day}.csv", day, _csv(prices.COLUMNS, quoted))


def main(arguments: Sequence[str]) -> None:
    """Writes the files into the folder named first, up to the day named second."""
    folder, last = arguments
    for file in files(date.fromisoformat(last)):
        (Path(folder) / file.name).write_bytes(file.data)


@dataclass(frozen=True, slots=True)
class _Product:
    number: int
    name: str
    set: int
    rarity: str
    middle: int
    sealed: bool
    kinds: tuple[tuple[str, float], ...]

    def row(self, last: date, days: int) -> tuple[object, ...]:
        published = last - timedelta(days=days + 400 - 60 * self.set)
        number = "" if self.sealed else f"{self.number % 40 + 1:03d}/040"
        return (
            *(CATEGORY, 900 + self.set, _SETS[self.set], published, 1000 + self.number),
            *(self.name, number, "" if self.sealed else self.rarity, int(self.sealed), ""),
        )


def _product(rng: random.Random, number: int) -> _Product:
    name = f"{rng.choice(_FIRST.split())}{rng.choice(_LAST.split())}"
    place = (number - 1) * len(_SETS) // PRODUCTS % len(_SETS)
    if number % 40 == 0:
        box = f"{_SETS[place]} Booster Box"
        return _Product(number, box, place, "", 14_000, sealed=True, kinds=(("Normal", 1.0),))
    (rarity, _, middle), *_ = rng.choices(_RARITIES, [share for _, share, _ in _RARITIES])
    count = rng.choices((1, 2, 3), (0.5, 0.4, 0.1))[0]
    kinds = tuple(sorted(rng.sample(_PRINTINGS, count)))
    return _Product(number, name, place, rarity, middle, sealed=False, kinds=kinds)


class _Card:
    """One card's price, walking day by day."""

    def __init__(
        self, rng: random.Random, product: _Product, printing: str, factor: float, days: int
    ) -> None:
        self.product = product
        self.printing = printing
        self.price = product.middle * factor * math.exp(rng.gauss(0, 0.7))
        # Few cards trade often; most move once in a week or two.
        self.often = min(0.8, 0.06 + rng.expovariate(14))
        self.drift = rng.gauss(0.002, 0.004)
        self.swing = 0.03 + rng.expovariate(25)
        self.thin = rng.random() < 0.08
        self.low = self.price * rng.uniform(0.7, 1.0)
        self.parked = self.price * rng.choice((1.5, 3, 8, 40))
        self.enters = 0 if rng.random() < 0.88 else rng.randrange(days)
        self.leaves = days if rng.random() < 0.96 else rng.randrange(days)
        self.ticks = {rng.randrange(days)} if rng.random() < 0.04 else set()

    def quote(self, rng: random.Random, step: int, *, stalled: bool) -> tuple[object, ...]:
        if rng.random() < (0.005 if stalled else self.often):
            jump = rng.gauss(0.35, 0.15) if rng.random() < 0.01 else 0.0
            self.price *= math.exp(rng.gauss(self.drift, self.swing) + jump)
            self.price = max(self.price, 3)
        if rng.random() < 0.6 * self.often:
            self.low = self.price * rng.uniform(0.72, 1.02)
        market = self.price / 40 if step in self.ticks else self.price
        missing = rng.random() < (0.85 if self.thin else 0.045)
        direct = self.price * 1.04 if self.often > 0.2 else None
        return (
            *(CATEGORY, 900 + self.product.set, 1000 + self.product.number, self.printing),
            *("" if missing else _money(market), _money(self.low), _money(self.price * 1.06)),
            *(_money(max(self.parked, self.price)), "" if direct is None else _money(direct)),
        )


def _money(cents: float) -> str:
    return money.decimal(max(1, round(cents)))


def _csv(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([columns, *rows])
    return buffer.getvalue().encode()


if __name__ == "__main__":
    main(sys.argv[1:])
