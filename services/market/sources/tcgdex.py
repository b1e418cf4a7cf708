"""TCGdex, version 2: sets, their cards, and of each card TCGplayer's prices by printing.
https://tcgdex.dev/markets-prices

It serves prices card by card alone, so a day is some twenty thousand requests; a set's answers are
kept as one part. Ids are its own ("base1-4"); which card of ours one is, an operator says; the link
shows the TCGplayer product that TCGdex names. Its prices of Cardmarket are not taken: the
price guide has them in three requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from urllib.parse import quote as quoted

from services.market.sources import shapes
from services.market.sources.adapter import DriftError, Foreign, Get, Notice, Rendered, Web

DEFAULT_URL = "https://api.tcgdex.net"
_SETS = "v2/en/sets"
_SET = "v2/en/sets/{}"
_CARD = "v2/en/cards/{}"
# Made here: see `ask`.
_PRICES = "v2/en/sets/{}/prices.jsonl"
# A card that is always quoted: its prices say of which day all are.
_CLOCK = _CARD.format("base1-4")
# Cards that exist in a game for telephones alone.
_DIGITAL = "tcgp"
_FIELDS = {
    "market": "marketPrice",
    "low": "lowPrice",
    "mid": "midPrice",
    "high": "highPrice",
    "direct_low": "directLowPrice",
}
# What stands beside the printings.
_BESIDE = frozenset({"updated", "unit"})
_CURRENCY = "USD"


class Tcgdex:
    """See the module."""

    name = "tcgdex"
    quotes = "tcgdex"
    notice = Notice(
        title="TCGplayer prices by TCGdex",
        licence="TCGdex is free to use (MIT); prices are TCGplayer's, under its terms",
        attribution="Prices by TCGplayer, by way of TCGdex",
        homepage="https://tcgdex.dev",
    )

    def __init__(self, base: str = DEFAULT_URL) -> None:
        self.base = base

    async def newest(self, get: Get) -> date:
        """See `Adapter.newest`. One card's prices say when they were read."""
        priced = _priced(_CLOCK, shapes.parsed(_CLOCK, await get(_CLOCK)))
        return shapes.day(_CLOCK, priced, "updated")

    async def ask(self, part: str, web: Web) -> bytes:
        """See `Composed.ask`. Of a set, its cards with prices, a line each."""
        stem, _, made = part.rpartition("/")
        if made != "prices.jsonl":
            return await web.get(part)
        of_set = shapes.parsed(stem, await web.get(stem))
        if shapes.within(stem, of_set, "serie").get("id") == _DIGITAL:
            return b""
        lines = []
        for brief in shapes.rows(stem, of_set, "cards"):
            at = _CARD.format(quoted(shapes.text(stem, brief, "id"), safe=""))
            card = shapes.parsed(at, await web.get(at))
            if priced := _priced(at, card):
                told = {field: card.get(field) for field in ("id", "localId", "name")}
                told |= {"set": of_set.get("name"), "pricing": {"tcgplayer": priced}}
                # A price of two places comes back as it was.
                lines.append(json.dumps(told, default=float, ensure_ascii=False).encode() + b"\n")
        return b"".join(lines)

    async def fetch(self, day: date, get: Get) -> Rendered:
        """See `Adapter.fetch`."""
        found: list[Foreign] = []
        for one in shapes.listed(_SETS, await get(_SETS)):
            part = _PRICES.format(quoted(shapes.text(_SETS, one, "id"), safe=""))
            for line in (await get(part)).splitlines():
                found += _quotes(part, shapes.parsed(part, line))
        if not found:
            raise DriftError(_SETS, "pricing.tcgplayer", "a price at least")
        return Rendered(day, b"", b"", found)


def _priced(part: str, card: Mapping[str, Any]) -> Mapping[str, Any]:
    return shapes.within(part, shapes.within(part, card, "pricing"), "tcgplayer")


def _quotes(part: str, card: Mapping[str, Any]) -> Iterator[Foreign]:
    priced = _priced(part, card)
    if priced.get("unit") != _CURRENCY:
        raise DriftError(part, "pricing.tcgplayer.unit", _CURRENCY)
    told = [card.get("name"), card.get("set"), card.get("localId")]
    for printing in sorted(priced.keys() - _BESIDE):
        prices = shapes.within(part, priced, printing)
        place = f"pricing.tcgplayer.{printing}."
        found = {
            ours: shapes.to_the_cent(shapes.price(part, prices, theirs, within=place))
            for ours, theirs in _FIELDS.items()
        }
        product = prices.get("productId")
        if any(found.values()):
            yield Foreign(
                product=shapes.text(part, card, "id"),
                printing=printing,
                display_name=" · ".join(str(one) for one in told if one),
                url=f"https://www.tcgplayer.com/product/{product}" if product else "",
                **found,
            )
