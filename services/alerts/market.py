"""The market as alerts sees it: which cards there are, and in which currency they are quoted."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from libs.clock import Clock
from libs.errors import AppError, Kind
from pq.market.v1 import market_pb2, market_pb2_grpc
from services.alerts import errors

TIMEOUT = 3.0  # seconds for one look-up
LIFETIME = 300.0  # seconds a known card is taken for known
CAPACITY = 20_000
_AWAY = {Kind.UNAVAILABLE, Kind.DEADLINE, Kind.RATE_LIMITED, Kind.CANCELLED}
_UNKNOWN = {Kind.NOT_FOUND, Kind.INVALID}


class Cards(Protocol):
    """What the handlers need to know of cards."""

    async def currency(self, card: str) -> str | None:
        """The currency of the card's headline quote; None before its first.

        `card` is the id without "cards/". Raises AppError: INVALID for a card that does not exist,
        UNAVAILABLE when that cannot be found out.
        """
        ...

    def display_name(self, card: str) -> str:
        """What the card is called, as far as it was asked about lately; else empty."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    currency: str
    display_name: str
    until: float


class MarketCards:
    """Asks the market, and remembers cards that have a quote for a while.

    What is not there is not remembered: a card may appear at any moment, and so may its first
    quote.
    """

    def __init__(
        self, stub: market_pb2_grpc.MarketServiceAsyncStub, clock: Clock, capacity: int = CAPACITY
    ) -> None:
        self._stub = stub
        self._clock = clock
        self._capacity = capacity
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def currency(self, card: str) -> str | None:
        """See `Cards.currency`."""
        known = self._known.get(card)
        if known is not None and self._clock.monotonic() < known.until:
            self._known.move_to_end(card)
            return known.currency
        found = await self._ask(f"cards/{card}")
        if not found.HasField("headline"):
            return None
        self._remember(card, found)
        return found.headline.currency_code

    def display_name(self, card: str) -> str:
        """See `Cards.display_name`."""
        known = self._known.get(card)
        return known.display_name if known is not None else ""

    async def _ask(self, name: str) -> market_pb2.Card:
        try:
            return await self._stub.GetCard(market_pb2.GetCardRequest(name=name), timeout=TIMEOUT)
        except AppError as error:
            if error.kind in _UNKNOWN:
                raise errors.unknown_card(name) from error
            if error.kind in _AWAY:
                raise errors.market_unavailable() from error
            raise

    def _remember(self, card: str, found: market_pb2.Card) -> None:
        until = self._clock.monotonic() + LIFETIME
        # Before a catalogue names it, a card is called by its product's number: that is no name.
        name = "" if found.display_name.isdigit() else found.display_name
        self._known[card] = _Known(found.headline.currency_code, name, until)
        self._known.move_to_end(card)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
