"""JustTCG: cards page by page, with a price for each condition and printing of a card.
https://justtcg.com/docs

A key is needed. Each condition is a source of quotes of its own: near mint copies and sealed
products are "justtcg", the others "justtcg-" and the condition. Which card of ours one is, an
operator says; the link shows the TCGplayer product that JustTCG names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from services.market.sources import shapes
from services.market.sources.adapter import DriftError, Foreign, Get, Notice, Rendered

DEFAULT_URL = "https://api.justtcg.com"
# Its header for the key.
KEY_HEADER = "x-api-key"
# Slower than fifty a minute, which is what its plans allow.
PAUSE = 1.3
PAGE = 100
# Far more than there are; a server that never ends is not read for ever.
MAX_PAGES = 1000
_CARDS = "v1/cards?game={}&limit={}&offset={}"
# Whose quotes those of a condition are.
_QUOTES = {
    "Near Mint": "",
    "Sealed": "",
    "Lightly Played": "justtcg-lightly-played",
    "Moderately Played": "justtcg-moderately-played",
    "Heavily Played": "justtcg-heavily-played",
    "Damaged": "justtcg-damaged",
}
_LANGUAGE = "English"


class JustTcg:
    """See the module."""

    name = "justtcg"
    quotes = "justtcg"
    notice = Notice(
        title="JustTCG",
        licence="JustTCG's terms, by one's own plan",
        attribution="Prices by JustTCG",
        homepage="https://justtcg.com",
    )

    def __init__(self, base: str = DEFAULT_URL, game: str = "pokemon", page: int = PAGE) -> None:
        self.base = base
        self._game = game
        self._page = page

    async def newest(self, get: Get) -> date:
        """See `Adapter.newest`. Each price says when it was made; the latest of a page counts."""
        part = self._part(0)
        cards, _ = _cards(part, await get(part))
        times = [
            shapes.whole(part, variant, "lastUpdated")
            for card in cards
            for variant in shapes.rows(part, card, "variants")
        ]
        if not times:
            raise DriftError(part, "variants.lastUpdated", "a time at least")
        return datetime.fromtimestamp(max(times), UTC).date()

    async def fetch(self, day: date, get: Get) -> Rendered:
        """See `Adapter.fetch`. A card that comes twice, because pages shifted, counts once."""
        found: dict[tuple[str, str, str], Foreign] = {}
        for number in range(MAX_PAGES):
            part = self._part(number)
            cards, more = _cards(part, await get(part))
            for card in cards:
                for quote in _quotes(part, card):
                    found[quote.product, quote.printing, quote.quotes] = quote
            if not more:
                break
            if not cards:
                raise DriftError(part, "data", "cards, as meta.hasMore says")
        else:
            raise DriftError("v1/cards", "meta.hasMore", f"an end within {MAX_PAGES} pages")
        if not found:
            raise DriftError("v1/cards", "data", "a price at least")
        return Rendered(day, b"", b"", list(found.values()))

    def _part(self, number: int) -> str:
        return _CARDS.format(self._game, self._page, number * self._page)


def _cards(part: str, data: bytes) -> tuple[Sequence[Mapping[str, Any]], bool]:
    """The cards of a page, and whether there are more."""
    answer = shapes.parsed(part, data)
    meta = answer.get("meta")
    more = meta.get("hasMore") if isinstance(meta, dict) else None
    if not isinstance(more, bool):
        raise DriftError(part, "meta.hasMore", "true or false")
    return shapes.rows(part, answer, "data"), more


def _quotes(part: str, card: Mapping[str, Any]) -> Iterator[Foreign]:
    id = shapes.text(part, card, "id")
    told = [card.get("name"), card.get("set_name") or card.get("set"), card.get("number")]
    product = card.get("tcgplayerId")
    for variant in shapes.rows(part, card, "variants"):
        quotes = _QUOTES.get(shapes.text(part, variant, "condition"))
        if quotes is None:
            continue
        if variant.get("language") not in (None, _LANGUAGE):
            continue
        price = shapes.to_the_cent(shapes.price(part, variant, "price", within="variants."))
        if price:
            yield Foreign(
                product=id,
                printing=shapes.text(part, variant, "printing"),
                display_name=" · ".join(str(one) for one in told if one),
                url=f"https://www.tcgplayer.com/product/{product}" if product else "",
                market=price,
                low="",
                mid="",
                quotes=quotes,
            )
