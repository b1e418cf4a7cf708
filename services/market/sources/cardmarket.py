"""Cardmarket's price guide: one JSON file a day and game, by product ids of Cardmarket's own.
https://www.cardmarket.com/en/Magic/Data/Price-Guide (and Product-Catalogue)

A product has two lines of prices, of its plain and of its foil copies; an article without a number
was not sold. Which card a product is, the file does not say: see `handlers/matching.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from services.market.sources import shapes
from services.market.sources.adapter import DriftError, Foreign, Get, Notice, Rendered

DEFAULT_URL = "https://downloads.s3.cardmarket.com"
# Pokémon's number there.
GAME = 6
_GUIDE = "productCatalog/priceGuide/price_guide_{}.json"
_PRODUCTS = ("singles", "nonsingles")
_LIST = "productCatalog/productList/products_{}_{}.json"
# Our fields by theirs: the trend is what Cardmarket takes for the market price.
_FIELDS = {"market": "trend", "low": "low", "mid": "avg"}
_PRINTINGS = {"Plain": "", "Foil": "-holo"}


class Cardmarket:
    """See the module."""

    name = "cardmarket"
    quotes = "cardmarket"
    notice = Notice(
        title="Cardmarket price guide",
        licence="Cardmarket's terms; the guide is published for download",
        attribution="Prices by Cardmarket",
        homepage="https://www.cardmarket.com",
    )

    def __init__(self, base: str = DEFAULT_URL, game: int = GAME) -> None:
        self.base = base
        self._game = game

    async def newest(self, get: Get) -> date:
        """See `Adapter.newest`. The guide says when it was made; it is small enough to be asked."""
        part = _GUIDE.format(self._game)
        made = shapes.parsed(part, await get(part)).get("createdAt")
        try:
            return datetime.strptime(str(made), "%Y-%m-%dT%H:%M:%S%z").date()
        except ValueError:
            raise DriftError(part, "createdAt", "YYYY-MM-DDThh:mm:ss+zzzz") from None

    async def fetch(self, day: date, get: Get) -> Rendered:
        """See `Adapter.fetch`."""
        names: dict[int, str] = {}
        for kind in _PRODUCTS:
            part = _LIST.format(kind, self._game)
            for one in shapes.rows(part, shapes.parsed(part, await get(part)), "products"):
                names[shapes.whole(part, one, "idProduct")] = str(one.get("name") or "")
        part = _GUIDE.format(self._game)
        guide = shapes.rows(part, shapes.parsed(part, await get(part)), "priceGuides")
        found = [quote for one in guide for quote in _quotes(part, one, names)]
        if not found:
            raise DriftError(part, "priceGuides", "a price at least")
        return Rendered(day, b"", b"", found)


def _quotes(part: str, one: Mapping[str, Any], names: Mapping[int, str]) -> Iterator[Foreign]:
    product = shapes.whole(part, one, "idProduct")
    for printing, suffix in _PRINTINGS.items():
        prices = {ours: _price(part, one, f"{theirs}{suffix}") for ours, theirs in _FIELDS.items()}
        if any(prices.values()):
            yield Foreign(
                product=str(product),
                printing=printing,
                display_name=names.get(product, ""),
                url=f"https://www.cardmarket.com/en/Pokemon/Products?idProduct={product}",
                **prices,
            )


def _price(part: str, one: Mapping[str, Any], field: str) -> str:
    """To the cent: averages have more places."""
    return shapes.to_the_cent(shapes.price(part, one, field))
