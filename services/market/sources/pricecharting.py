"""PriceCharting's price guide: one CSV of all cards, made anew once a day.
https://www.pricecharting.com/api-documentation

A token is needed. Prices are of sales. Those of ungraded copies are quotes of "pricecharting",
those of copies graded 10 by PSA, and graded 9, of sources of their own. Which card a product is,
an operator says.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import date

from services.market.sources.adapter import DriftError, Foreign, Get, Notice, Rendered

DEFAULT_URL = "https://www.pricecharting.com"
# The query's parameter for the token.
TOKEN = "t"  # noqa: S105 # a name, and no token
_GUIDE = "price-guide/download-custom?category={}"
# Its products are printings.
PRINTING = "Any"
# Columns are named after games: what is called loose of one is ungraded of a card. To the column
# belongs the source of its quotes, the adapter's own for "".
_PRICE = "loose-price"
_PRICES = {
    _PRICE: "",
    "graded-price": "pricecharting-grade-9",
    "manual-only-price": "pricecharting-psa-10",
}
_COLUMNS = ("id", "console-name", "product-name", *_PRICES)
_DOLLARS = re.compile(r"\$?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(\.[0-9]{1,2})?", re.ASCII)


class PriceCharting:
    """See the module."""

    name = "pricecharting"
    quotes = "pricecharting"
    notice = Notice(
        title="PriceCharting price guide",
        licence="PriceCharting's terms, by one's own subscription",
        attribution="Prices by PriceCharting",
        homepage="https://www.pricecharting.com",
    )

    def __init__(
        self,
        today: Callable[[], date],
        base: str = DEFAULT_URL,
        category: str = "pokemon-cards",
    ) -> None:
        self.base = base
        self._today = today
        self._part = _GUIDE.format(category)

    async def newest(self, get: Get) -> date:  # noqa: ARG002 # nothing there says it
        """See `Adapter.newest`. The guide does not say its day: it is that on which one asks."""
        return self._today()

    async def fetch(self, day: date, get: Get) -> Rendered:
        """See `Adapter.fetch`."""
        try:
            text = (await get(self._part)).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DriftError(self._part, "body", "UTF-8") from None
        rows = csv.DictReader(io.StringIO(text, newline=""))
        for column in _COLUMNS:
            if column not in (rows.fieldnames or ()):
                raise DriftError(self._part, column, "a column of this name")
        found = [quote for row in rows for quote in self._quotes(row)]
        if not found:
            raise DriftError(self._part, _PRICE, "a price at least")
        return Rendered(day, b"", b"", found)

    def _quotes(self, row: dict[str, str | None]) -> Iterator[Foreign]:
        id = (row["id"] or "").strip()
        told = [row["product-name"], row["console-name"]]
        for column, quotes in _PRICES.items():
            price = (row[column] or "").strip()
            if not price:
                continue
            match = _DOLLARS.fullmatch(price)
            if match is None:
                raise DriftError(self._part, column, "dollars, such as $1,234.50")
            if not id:
                raise DriftError(self._part, "id", "a text")
            yield Foreign(
                product=id,
                printing=PRINTING,
                display_name=" · ".join(one for one in told if one),
                url=f"https://www.pricecharting.com/offers?product={id}",
                market=match[1].replace(",", "") + (match[2] or ""),
                low="",
                mid="",
                quotes=quotes,
            )
