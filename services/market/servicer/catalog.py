"""pq.market.v1.CatalogService."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from libs.api import filters
from libs.api.paging import PageTokens
from libs.api.wire import stamp
from libs.db import Database
from libs.errors import invalid, not_found
from pq.market.v1 import catalog_pb2 as pb
from pq.market.v1 import catalog_pb2_grpc
from services.market import messages
from services.market.analytics import realisable
from services.market.analytics.panel import NONE
from services.market.domain.completion import Completion, Priced, completions
from services.market.domain.faults import FieldError
from services.market.domain.money import cents, decimal
from services.market.domain.prices import VERSION
from services.market.domain.quotes import Card
from services.market.domain.spans import Interval, Quoted, Span, spans
from services.market.domain.terms import Terms
from services.market.handlers.provenance import Provenance
from services.market.servicer import names
from services.market.store import listing, quotes, sets, snapshots, sources
from services.market.store.raw import media_type
from services.market.store.sets import Member
from services.market.store.wire import day_of

_SET = re.compile(r"sets/([a-z0-9-]{1,60})-([0-9]{1,18})", re.ASCII)
_NOTHING = re.compile(r"0(\.0{1,2})?", re.ASCII)
_DEFAULT_DAYS = 731
_MOST_DAYS = 3660
_FEES = {0: realisable.TCGPLAYER, 1: realisable.TCGPLAYER, 2: realisable.EBAY}


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """Cards looked at closely, and sets."""

    def __init__(self, db: Database, tokens: PageTokens, provenance: Provenance) -> None:
        self._db = db
        self._tokens = tokens
        self._provenance = provenance

    async def ListCardHistory(
        self, request: pb.ListCardHistoryRequest, _context: Any
    ) -> pb.ListCardHistoryResponse:
        """A card's prices in spans."""
        card = await self._card(names.card_id(request.parent, "parent"))
        headline = card.headline
        source = request.source or (headline.source if headline else "")
        end = names.optional_day(request.end_day, "end_day") or (headline.day if headline else None)
        if end is None:
            return pb.ListCardHistoryResponse()
        start = names.optional_day(request.start_day, "start_day")
        start = start or end - timedelta(days=_DEFAULT_DAYS - 1)
        if not 0 <= (end - start).days < _MOST_DAYS:
            told = f"expected a day up to {_MOST_DAYS} days before {end}; got {start}"
            raise invalid("start_day", told, "out_of_range")
        known = (await sources.read_all(self._db)).get(source)
        found = [] if known is None else await self._quoted(known.number, card.number, start, end)
        interval = Interval(int(request.interval) or 1)
        shown = spans(found, interval, max(start, _first(found, request, start)), end)
        return pb.ListCardHistoryResponse(
            spans=map(_span, shown),
            source=source,
            currency_code=known.terms.currency if known else "",
        )

    async def _quoted(self, source: int, card: int, start: date, end: date) -> list[Quoted]:
        found = await quotes.of_cards(self._db, source, [card], start, end)
        days = map(day_of, found.days.tolist())
        prices = zip(*map(quotes.plain, (found.market, found.low)), strict=True)
        return [(day, *one) for day, one in zip(days, prices, strict=True)]

    async def ListRelatedCards(
        self, request: pb.ListRelatedCardsRequest, _context: Any
    ) -> pb.ListRelatedCardsResponse:
        """The printings of a product."""
        card = await self._card(names.card_id(request.parent, "parent"))
        found = await listing.of_product(self._db, card.category, card.product_id)
        return pb.ListRelatedCardsResponse(cards=map(messages.card, found))

    async def GetCardValue(
        self, request: pb.GetCardValueRequest, _context: Any
    ) -> pb.CardValuation:
        """What a seller would get."""
        card = await self._card(names.part_of_card(request.name, "value"))
        fees = _FEES.get(int(request.marketplace))
        if fees is None:
            raise invalid("marketplace", "expected one of the marketplaces", "out_of_range")
        shipping = _amount("shipping", request.shipping)
        answer = pb.CardValuation(name=request.name, shipping=decimal(shipping), rule=_told(fees))
        if card.headline is None:
            return answer
        answer.headline.CopyFrom(messages.quote(card.headline))
        market, low = (_array([x]) for x in (card.headline.market, card.headline.low))
        found = realisable.realisable(market, low, fees, shipping)
        if found.known[0]:
            answer.price = decimal(int(found.gross[0]))
            answer.fees = decimal(int(found.fees[0]))
            answer.realisable = _signed(int(found.net[0]))
        return answer

    async def GetQuoteOrigin(
        self, request: pb.GetQuoteOriginRequest, _context: Any
    ) -> pb.QuoteOrigin:
        """Where a quote is from."""
        id = names.part_of_card(request.name, "quoteOrigin")
        day = names.optional_day(request.day)
        if day is None:
            raise invalid("day", "expected a day, YYYY-MM-DD", "required")
        version = request.version or await snapshots.newest_version(self._db, request.source, day)
        origin = await self._provenance(id, request.source, day, version)
        return pb.QuoteOrigin(
            name=request.name,
            snapshot=messages.snapshot(origin.snapshot),
            file_name=origin.item.file_name,
            sha256=origin.item.sha256,
            size=origin.item.size,
            accept_time=stamp(origin.item.create_time),
            line=origin.line,
            rejected_count=origin.item.rejected_count,
            code_version=VERSION,
            quote=None if origin.quote is None else messages.quote(origin.quote),
            media_type=media_type(origin.item.raw),
        )

    async def ListSets(self, request: pb.ListSetsRequest, _context: Any) -> pb.ListSetsResponse:
        """A page of sets."""
        where = filters.parse(request.filter, sets.FILTERS, first=4)
        page = self._tokens.page(
            method="ListSets",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(request.filter,),
        )
        after = None if page.cursor is None else (str(page.cursor[0]), int(page.cursor[1] or 0))
        found = await sets.page(self._db, where, after, page.size + 1)
        shown, token = self._tokens.cut(page, found, lambda last: [last.category, last.set_id])
        return pb.ListSetsResponse(sets=map(_set, shown), next_page_token=token)

    async def GetSet(self, request: pb.GetSetRequest, _context: Any) -> pb.Set:
        """One set with what it costs."""
        match = _SET.fullmatch(request.name)
        if match is None:
            told = "expected sets/ and a set's id, such as sets/pokemon-604"
            raise invalid("name", f"{told}; got {request.name[:80]!r}", "wrong_name")
        found = await sets.get(self._db, match[1], int(match[2]))
        if found is None:
            raise not_found(request.name)
        quoted = await sets.members(self._db, found.category, found.set_id)
        printings = list(dict.fromkeys((one.product, one.printing) for one in quoted))
        answer = _set(found)
        for terms, members in _by_terms(quoted).items():
            priced = [members.get(place) or Priced(*place, None, None) for place in printings]
            answer.costs.extend(_cost(one, terms) for one in completions(priced))
        return answer

    async def _card(self, id: str) -> Card:
        card = await listing.get(self._db, id)
        if card is None:
            raise not_found(messages.card_name(id))
        return card


def _first(found: list[Quoted], request: pb.ListCardHistoryRequest, start: date) -> date:
    """Before a card's first quote there is no gap, unless somebody asks for those days."""
    return found[0][0] if found and not request.start_day else start


def _span(span: Span) -> pb.PriceSpan:
    prices = {
        "first": span.first,
        "last": span.last,
        "min": span.least,
        "max": span.most,
        "low": span.low,
    }
    return pb.PriceSpan(
        start_day=span.start.isoformat(),
        end_day=span.end.isoformat(),
        quoted_days=span.quoted_days,
        **{name: decimal(value) for name, value in prices.items() if value is not None},
    )


def _set(found: sets.CardSet) -> pb.Set:
    return pb.Set(
        name=f"sets/{found.category}-{found.set_id}",
        display_name=found.name or str(found.set_id),
        category=found.category,
        set_id=found.set_id,
        published_day=found.published.isoformat() if found.published else "",
        product_count=found.products,
        card_count=found.cards,
        sealed_count=found.sealed,
    )


def _by_terms(quoted: Sequence[Member]) -> dict[Terms, dict[tuple[int, str], Priced]]:
    """By currency and condition what each printing costs; of sources with the same, the first."""
    found: dict[Terms, dict[tuple[int, str], Priced]] = {}
    for one in quoted:
        priced = Priced(one.product, one.printing, one.market, one.low)
        found.setdefault(one.terms, {}).setdefault((one.product, one.printing), priced)
    return found


def _cost(one: Completion, terms: Terms) -> pb.SetCost:
    market = _array([priced.market for priced in one.priced])
    low = _array([priced.low for priced in one.priced])
    net = realisable.realisable(market, low, realisable.TCGPLAYER).total()
    return pb.SetCost(
        printing=one.printing,
        currency_code=terms.currency,
        condition=terms.condition,
        market=decimal(one.market),
        realisable=decimal(net),
        known_count=len(one.priced),
        unknown_count=one.unknown,
    )


def _array(values: list[int | None]) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array([NONE if value is None else value for value in values], np.int32)


def _amount(field: str, text: str) -> int:
    """Cents of a decimal that may be empty or 0."""
    if not text or _NOTHING.fullmatch(text):
        return 0
    try:
        return cents(text)
    except FieldError as error:
        raise invalid(
            field, f"expected {error.expected}; got {text[:40]!r}", error.reason
        ) from None


def _signed(value: int) -> str:
    return ("-" if value < 0 else "") + decimal(abs(value))


def _told(fees: realisable.Fees) -> str:
    rates = " + ".join(f"{rate / 100:g} %" for rate in fees.rates)
    return f"{fees.name}: {rates} + {decimal(fees.fixed)}"
