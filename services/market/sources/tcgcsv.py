"""TCGplayer's prices as tcgcsv.com serves them once a day: a file of products and one of prices by
group. https://tcgcsv.com/docs

Money is read as decimals, never as floats. A product or a price that lacks what identifies it stops
the day: a shape that changed is no reason to take half of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from services.market.domain import catalog, prices
from services.market.sources import shapes
from services.market.sources.adapter import DriftError, Get, Notice, Rendered, table

DEFAULT_URL = "https://tcgcsv.com"
# Categories by the names that cards carry.
CATEGORIES: Mapping[str, int] = {"pokemon": 3, "pokemon-japan": 85}

_PRICES = ("marketPrice", "lowPrice", "midPrice", "highPrice", "directLowPrice")
_SEALED_WITHOUT = ("Number", "Rarity")


class Tcgcsv:
    """See the module."""

    name = "tcgcsv"
    quotes = "tcgplayer"
    notice = Notice(
        title="TCGplayer prices by TCGCSV",
        licence="TCGplayer's terms; TCGCSV passes on what its API says",
        attribution="Prices by TCGplayer, by way of TCGCSV",
        homepage="https://tcgcsv.com",
    )

    def __init__(self, base: str = DEFAULT_URL, categories: Mapping[str, int] = CATEGORIES) -> None:
        self.base = base
        self._categories = categories

    async def newest(self, get: Get) -> date:
        """See `Adapter.newest`."""
        text = (await get("last-updated.txt")).decode("ascii", "replace").strip()
        try:
            return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").date()
        except ValueError:
            raise DriftError("last-updated.txt", "time", "YYYY-MM-DDThh:mm:ss+zzzz") from None

    async def fetch(self, day: date, get: Get) -> Rendered:
        """See `Adapter.fetch`."""
        priced: list[Sequence[str]] = []
        known: list[Sequence[str]] = []
        for category, number in self._categories.items():
            groups = f"tcgplayer/{number}/groups"
            for group in _results(groups, await get(groups)):
                id = shapes.whole(groups, group, "groupId")
                part = f"tcgplayer/{number}/{id}"
                products = _results(f"{part}/products", await get(f"{part}/products"))
                known += _products(f"{part}/products", category, group, products)
                quoted = _results(f"{part}/prices", await get(f"{part}/prices"))
                priced += _quotes(f"{part}/prices", day, category, id, quoted)
        if not priced:
            raise DriftError("tcgplayer", "results", "a price at least")
        return Rendered(day, table(prices.COLUMNS, priced), table(catalog.COLUMNS, known))


def _quotes(
    part: str, day: date, category: str, group: int, results: Sequence[Any]
) -> Iterator[Sequence[str]]:
    for one in results:
        quoted = [_price(part, one, field) for field in _PRICES]
        if not any(quoted):
            continue
        product = str(shapes.whole(part, one, "productId"))
        printing = shapes.text(part, one, "subTypeName")
        yield (day.isoformat(), category, str(group), product, printing, *quoted)


def _products(
    part: str, category: str, group: Any, results: Sequence[Any]
) -> Iterator[Sequence[str]]:
    published = str(group.get("publishedOn") or "")[:10]
    for one in results:
        extended = {
            entry.get("name"): str(entry.get("value", "")) for entry in one.get("extendedData", [])
        }
        sealed = not any(extended.get(name) for name in _SEALED_WITHOUT)
        yield (
            category,
            str(shapes.whole(part, group, "groupId")),
            shapes.text(part, group, "name"),
            published,
            str(shapes.whole(part, one, "productId")),
            shapes.text(part, one, "name"),
            extended.get("Number", ""),
            extended.get("Rarity", ""),
            "1" if sealed else "0",
            str(one.get("imageUrl") or ""),
        )


def _results(part: str, data: bytes) -> Sequence[Any]:
    answer = shapes.parsed(part, data)
    if answer.get("success") is not True:
        raise DriftError(part, "success", "true")
    results = shapes.rows(part, answer, "results")
    total = answer.get("totalItems")
    if isinstance(total, int) and total != len(results):
        raise DriftError(part, "results", f"{total} of them, as totalItems says")
    return results


def _price(part: str, one: Mapping[str, Any], field: str) -> str:
    """More places than two are left for the file's own check to set aside."""
    value = shapes.price(part, one, field)
    return f"{value:f}" if value is not None else ""
