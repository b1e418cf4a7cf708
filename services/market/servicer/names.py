"""Names and days in requests, checked."""

from __future__ import annotations

import re
from datetime import date

from libs.errors import AppError, invalid
from services.market.domain import cards
from services.market.domain.faults import FieldError
from services.market.domain.prices import read_day

_INDEX = re.compile(r"indices/([a-z0-9-]{1,40}):([a-z0-9-]{1,100})", re.ASCII)


def card_id(name: str, field: str) -> str:
    """The id in "cards/…". Raises AppError (INVALID) that names `field`."""
    collection, _, id = name.partition("/")
    if collection != "cards" or len(id) > cards.MAX_ID or not cards.ID.fullmatch(id):
        raise invalid(
            field,
            f"expected cards/ and a card's id, such as cards/pokemon-42346-holofoil;"
            f" got {name[:80]!r}",
            "wrong_name",
        )
    return id


def part_of_card(name: str, part: str) -> str:
    """The id of the card in "cards/…/<part>"."""
    card, _, last = name.rpartition("/")
    if last != part:
        raise invalid("name", f"expected cards/…/{part}; got {name[:80]!r}", "wrong_name")
    return card_id(card, "name")


def index_id(name: str, field: str) -> tuple[str, str]:
    """Source and id in "indices/…". Raises AppError (INVALID) that names `field`."""
    match = _INDEX.fullmatch(name)
    if match is None:
        told = "expected indices/ and an index's id, such as indices/tcgplayer:all-equal"
        raise invalid(field, f"{told}; got {name[:80]!r}", "wrong_name")
    return match[1], match[2]


def optional_day(text: str, field: str = "day") -> date | None:
    """The day of a field that may be empty."""
    if not text:
        return None
    try:
        return read_day(text)
    except FieldError as error:
        raise invalid(
            field, f"expected {error.expected}; got {text[:40]!r}", error.reason
        ) from None


def words(order_by: str) -> str:
    """An order without needless blanks."""
    return " ".join(order_by.split())


def wrong_order(order_by: str, known: object) -> AppError:
    """For an order that is none of `known`."""
    told = ", ".join(repr(name) for name in known)  # type: ignore[attr-defined] # it is iterable
    return invalid("order_by", f"expected one of {told}; got {order_by[:60]!r}", "invalid_order_by")
