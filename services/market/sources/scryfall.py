"""Scryfall's list of all cards of Magic: one file a day, half a gigabyte, with prices by finish.
https://scryfall.com/docs/api/bulk-data

Of each card with a price a few fields are kept, a line each. Ids are Scryfall's own; which card of
ours one is, an operator says. The link shows Scryfall's page of the card.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import orjson

from services.market.sources import shapes
from services.market.sources.adapter import DriftError, Foreign, Get, Notice, Rendered, Web

DEFAULT_URL = "https://api.scryfall.com"
# Its server wants to be told what is accepted.
HEADERS = {"accept": "application/json"}
_LIST = "bulk-data/default-cards"
# Made here: see `ask`.
_CARDS = "default-cards.jsonl"
_KEPT = ("id", "name", "set_name", "collector_number", "lang", "scryfall_uri")
# Printings, as Scryfall calls finishes, by where their price in US dollars stands.
_PRINTINGS = {"usd": "nonfoil", "usd_foil": "foil", "usd_etched": "etched"}


class Scryfall:
    """See the module."""

    name = "scryfall"
    quotes = "scryfall"
    notice = Notice(
        title="Scryfall",
        licence="Scryfall's terms; what is shown of it must be free to see",
        attribution="Card data and prices by Scryfall",
        homepage="https://scryfall.com",
    )

    def __init__(self, base: str = DEFAULT_URL) -> None:
        self.base = base

    async def newest(self, get: Get) -> date:
        """See `Adapter.newest`. The list says when it was made."""
        return shapes.day(_LIST, shapes.parsed(_LIST, await get(_LIST)), "updated_at")

    async def ask(self, part: str, web: Web) -> bytes:
        """See `Composed.ask`. Of the list, the fields that count."""
        if part != _CARDS:
            return await web.get(part)
        told = shapes.parsed(_LIST, await web.get(_LIST))
        kept: list[bytes] = []
        # A card a line, with a comma after it, between lines with a bracket.
        async for line in web.lines(shapes.text(_LIST, told, "download_uri")):
            if (card := line.strip().rstrip(b",")) not in (b"[", b"]", b""):
                kept += _kept(_read(card))
        return b"".join(kept)

    async def fetch(self, day: date, get: Get) -> Rendered:
        """See `Adapter.fetch`."""
        lines = (await get(_CARDS)).splitlines()
        found = [quote for line in lines for quote in _quotes(shapes.parsed(_CARDS, line))]
        if not found:
            raise DriftError(_CARDS, "prices", "a price at least")
        return Rendered(day, b"", b"", found)


def _read(line: bytes) -> Mapping[str, Any]:
    """A card of the list. Its prices are texts, so that nothing is lost by reading it quickly."""
    try:
        card = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise DriftError(_CARDS, "body", "JSON") from None
    if not isinstance(card, dict):
        raise DriftError(_CARDS, "body", "an object")
    return card


def _kept(card: Mapping[str, Any]) -> Iterator[bytes]:
    prices = shapes.within(_CARDS, card, "prices")
    known = {field: prices[field] for field in _PRINTINGS if prices.get(field) is not None}
    for field in known:
        shapes.decimal(_CARDS, known, field, within="prices.")
    if known:
        told = {field: card.get(field) for field in _KEPT} | {"prices": known}
        yield orjson.dumps(told) + b"\n"


def _quotes(card: Mapping[str, Any]) -> Iterator[Foreign]:
    prices = shapes.within(_CARDS, card, "prices")
    told = [card.get(field) for field in ("name", "set_name", "collector_number")]
    if card.get("lang") != "en":
        told.append(card.get("lang"))
    for field, printing in _PRINTINGS.items():
        if field in prices:
            yield Foreign(
                product=shapes.text(_CARDS, card, "id"),
                printing=printing,
                display_name=" · ".join(str(one) for one in told if one),
                url=str(card.get("scryfall_uri") or ""),
                market=shapes.to_the_cent(shapes.decimal(_CARDS, prices, field, within="prices.")),
                low="",
                mid="",
            )
