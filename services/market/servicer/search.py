"""SearchCards: the request checked, the answer shown."""

from __future__ import annotations

from libs.api.paging import PageTokens
from libs.db import Database
from libs.errors import invalid
from pq.market.v1 import market_pb2 as pb
from services.market import messages
from services.market.domain import money
from services.market.domain.browse import Facet, Selection
from services.market.domain.faults import FieldError
from services.market.domain.search import MAX_QUERY
from services.market.handlers.browsing import Browsing
from services.market.store import listing

_LISTS = ("category", "set_id", "rarity", "printing")
_MOST_VALUES = 100


async def search(
    db: Database, tokens: PageTokens, browsing: Browsing, request: pb.SearchCardsRequest
) -> pb.SearchCardsResponse:
    """A page of answers. Raises AppError (INVALID) that names the field."""
    wanted = _selection(request)
    if not 0 <= request.facet_size <= _MOST_VALUES:
        told = f"expected 0 to {_MOST_VALUES}; got {request.facet_size}"
        raise invalid("facet_size", told, "out_of_range")
    page = tokens.page(
        method="SearchCards",
        page_size=request.page_size,
        page_token=request.page_token,
        default=50,
        question=(repr(wanted.query), repr(sorted(wanted.labels.items())), _prices(wanted)),
    )
    start = int(page.cursor[0] or 0) if page.cursor else 0
    found = await browsing.search(wanted, start, page.size, request.facet_size)
    cards = await listing.by_number(db, found.cards)
    following = [start + page.size] if start + page.size < found.total else None
    return pb.SearchCardsResponse(
        cards=[messages.card(cards[number]) for number in found.cards if number in cards],
        next_page_token=tokens.next(page, following),
        total_size=found.total,
        facets=[_facet(name, values, found.set_names) for name, values in found.facets.items()],
    )


def _selection(request: pb.SearchCardsRequest) -> Selection:
    if len(request.query) > MAX_QUERY or "\x00" in request.query:
        raise invalid("query", f"expected at most {MAX_QUERY} characters, none of them NUL")
    labels = {name: frozenset(getattr(request, name)) for name in _LISTS if getattr(request, name)}
    if request.HasField("sealed"):
        labels["sealed"] = frozenset(["true" if request.sealed else "false"])
    least, most = _cents("min_price", request.min_price), _cents("max_price", request.max_price)
    if least is not None and most is not None and least > most:
        raise invalid("max_price", "expected min_price or more", "out_of_range")
    return Selection(request.query, labels, least, most)


def _cents(field: str, text: str) -> int | None:
    try:
        value = money.cents(text)
    except FieldError as error:
        raise invalid(
            field, f"expected {error.expected}; got {text[:40]!r}", error.reason
        ) from None
    return None if value == money.NONE else value


def _prices(wanted: Selection) -> str:
    return f"{wanted.least}-{wanted.most}"


def _facet(name: str, values: list[Facet], set_names: dict[str, str]) -> pb.Facet:
    titles = set_names if name == "set_id" else {}
    return pb.Facet(
        property=name,
        values=[
            pb.FacetValue(value=one.value, title=titles.get(one.value, ""), count=one.count)
            for one in values
        ],
    )
