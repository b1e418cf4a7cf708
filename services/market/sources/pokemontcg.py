"""The Pokémon TCG API, version 2: cards page by page, with TCGplayer's prices by printing.
https://docs.pokemontcg.io

Its ids are its own ("base1-4"), so products wait for their cards; see `handlers/matching.py`. No
key is needed for a day's pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from services.market.sources import shapes
from services.market.sources.adapter import DriftError, Foreign, Get, Notice, Rendered

DEFAULT_URL = "https://api.pokemontcg.io"
PAGE = 250
# Far more than there are; a server that never ends is not read for ever.
MAX_PAGES = 400
_CARDS = "v2/cards?select=id,name,number,set,tcgplayer&orderBy=id&pageSize={}&page={}"
_NEWEST = "v2/cards?select=id,tcgplayer&orderBy=-set.releaseDate&pageSize=50&page=1"
_FIELDS = {
    "market": "market",
    "low": "low",
    "mid": "mid",
    "high": "high",
    "direct_low": "directLow",
}


class PokemonTcg:
    """See the module."""

    name = "pokemontcg"
    quotes = "pokemontcg"
    notice = Notice(
        title="TCGplayer prices by the Pokémon TCG API",
        licence="The Pokémon TCG API's terms; prices are TCGplayer's",
        attribution="Prices by TCGplayer, by way of pokemontcg.io",
        homepage="https://pokemontcg.io",
    )

    def __init__(self, base: str = DEFAULT_URL, page: int = PAGE) -> None:
        self.base = base
        self._page = page

    async def newest(self, get: Get) -> date:
        """See `Adapter.newest`. Each card says when its prices were read; the latest counts."""
        cards = _cards(_NEWEST, await get(_NEWEST))[0]
        days = [day for card in cards if (day := _updated(_NEWEST, card)) is not None]
        if not days:
            raise DriftError(_NEWEST, "tcgplayer.updatedAt", "a day at least")
        return max(days)

    async def fetch(self, day: date, get: Get) -> Rendered:
        """See `Adapter.fetch`. A card that comes twice, because pages shifted, counts once."""
        found: dict[tuple[str, str], Foreign] = {}
        for number in range(1, MAX_PAGES + 1):
            part = _CARDS.format(self._page, number)
            cards, total = _cards(part, await get(part))
            for card in cards:
                for quote in _quotes(part, card):
                    found[quote.product, quote.printing] = quote
            if not cards and (number - 1) * self._page < total:
                raise DriftError(part, "data", f"cards up to {total}, as totalCount says")
            if number * self._page >= total:
                break
        else:
            raise DriftError("v2/cards", "totalCount", f"an end within {MAX_PAGES} pages")
        if not found:
            raise DriftError("v2/cards", "data", "a price at least")
        return Rendered(day, b"", b"", list(found.values()))


def _cards(part: str, data: bytes) -> tuple[Sequence[Mapping[str, Any]], int]:
    """The cards of a page, and how many there are in all."""
    answer = shapes.parsed(part, data)
    return shapes.rows(part, answer, "data"), shapes.whole(part, answer, "totalCount")


def _updated(part: str, card: Mapping[str, Any]) -> date | None:
    told = (card.get("tcgplayer") or {}).get("updatedAt")
    if told is None:
        return None
    try:
        return date.fromisoformat(str(told).replace("/", "-"))
    except ValueError:
        raise DriftError(part, "tcgplayer.updatedAt", "YYYY/MM/DD") from None


def _quotes(part: str, card: Mapping[str, Any]) -> Iterator[Foreign]:
    id = shapes.text(part, card, "id")
    priced = card.get("tcgplayer") or {}
    prices = priced.get("prices") or {}
    if not isinstance(prices, dict):
        raise DriftError(part, "tcgplayer.prices", "an object")
    told = [card.get("name"), (card.get("set") or {}).get("name"), card.get("number")]
    for printing, quoted in prices.items():
        if not isinstance(quoted, dict):
            raise DriftError(part, f"tcgplayer.prices.{printing}", "an object")
        found = {ours: _price(part, quoted, theirs) for ours, theirs in _FIELDS.items()}
        if any(found.values()):
            yield Foreign(
                product=id,
                printing=str(printing),
                display_name=" · ".join(str(one) for one in told if one),
                url=str(priced.get("url") or ""),
                **found,
            )


def _price(part: str, quoted: Mapping[str, Any], field: str) -> str:
    value = shapes.price(part, quoted, field, within="tcgplayer.prices.")
    return f"{value:f}" if value is not None else ""
