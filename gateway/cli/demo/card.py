"""Which card the demonstration moves, by how much, and on which day."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any

from gateway.cli.client import Rest
from gateway.cli.exits import CliError, Exit

# What `pq up` loads into an empty market. Real sources are never touched.
SOURCE = "demo"
LEAST_PRICE = "5.00"
# The market takes days a little ahead of today; within that each run has a day of its own.
DAYS_AHEAD = 6
_HEADING = (
    *("date", "category", "group_id", "product_id", "subtype"),
    *("market", "low", "mid", "high", "direct_low"),
)
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Plan:
    """A card, the level that its alert watches, and the price on `day` that crosses it."""

    card: dict[str, Any]
    day: date
    price: Decimal
    threshold: Decimal

    @property
    def currency(self) -> str:
        """ISO 4217."""
        return str(self.card["headline"]["currencyCode"])

    def file(self) -> bytes:
        """The day's prices: one card."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_HEADING)
        card = self.card
        found = (self.day, card["category"], card["setId"], card["productId"], card["printing"])
        writer.writerow((*found, self.price, "", "", "", ""))
        return text.getvalue().encode()


async def plan(rest: Rest, *, today: date, choose: Callable[[Sequence[Any]], Any]) -> Plan:
    """Looks for a card of the demo market. Raises CliError where there is none."""
    day = await _day(rest, today)
    card = choose(await _candidates(rest, day))
    return moved(card, day)


def moved(card: dict[str, Any], day: date) -> Plan:
    """The card with a level just over its price, and a price just over that."""
    price = Decimal(card["headline"]["market"])
    threshold = (price * Decimal("1.01")).quantize(_CENT, ROUND_UP)
    crossing = (price * Decimal("1.05")).quantize(_CENT, ROUND_UP)
    return Plan(card, day, max(crossing, threshold), threshold)


async def _day(rest: Rest, today: date) -> date:
    """The day after the source's newest; where that is too far ahead, its newest, corrected."""
    query = {"filter": f'source = "{SOURCE}"', "pageSize": "1"}
    found = (await rest.get("/v1/snapshots", query))["snapshots"]
    if not found:
        raise _no_market()
    newest = date.fromisoformat(found[0]["day"])
    return newest + timedelta(days=1) if newest < today + timedelta(days=DAYS_AHEAD) else newest


async def _candidates(rest: Rest, day: date) -> list[dict[str, Any]]:
    """A page of cards that the demo source quotes, none of them on `day` yet."""
    query = {"filter": f"market >= {LEAST_PRICE}", "pageSize": "200"}
    while True:
        page = await rest.get("/v1/cards", query)
        found = [card for card in page["cards"] if _suits(card, day)]
        if found:
            return found
        if not page.get("nextPageToken"):
            raise _no_market()
        query["pageToken"] = page["nextPageToken"]


def _suits(card: dict[str, Any], day: date) -> bool:
    headline = card.get("headline") or {}
    quoted = headline.get("source") == SOURCE and bool(headline.get("market"))
    return quoted and date.fromisoformat(headline["day"]) < day


def _no_market() -> CliError:
    return CliError(
        Exit.DEGRADED,
        "no_demo_market",
        f"the market has no prices of the source {SOURCE!r}, and real ones are not touched",
        "`pq up` loads the demo market where the market is empty; point --gateway at such a one",
    )
