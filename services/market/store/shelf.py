"""All cards at once, for searching and counting in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from libs.db import Database, Reader
from services.market.domain import money
from services.market.store import wire

Ints = npt.NDArray[np.int32]

_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Row:
    """What is searched and counted of a card."""

    card: int
    text: str
    category: str
    set_id: str
    set_name: str
    rarity: str
    printing: str
    sealed: str


async def state(reader: Reader) -> tuple[int, int, int]:
    """Changes whenever `rows` would (the first two) or `prices` would (the last)."""
    row = await reader.fetchrow(
        "select (select count(*) from cards), (select count(*) from imports where kind = 2),"
        " (select count(*) from snapshots)"
    )
    assert row is not None  # it selects from nothing
    return row[0], row[1], row[2]


async def rows(db: Database) -> list[Row]:
    """All cards, by number; read page by page so that others get their turn."""
    found: list[Row] = []
    last = 0
    while True:
        page = await db.fetch(
            "select card, concat_ws(' ', display_name, set_name, number), category, set_id::text,"
            " set_name, rarity, printing,"
            " case when sealed then 'true' when not sealed then 'false' else '' end"
            " from cards where card > $1 order by card limit $2",
            last,
            _PAGE,
        )
        found += [Row(*row) for row in page]
        if len(page) < _PAGE:
            return found
        last = found[-1].card


async def prices(db: Database, cards: Ints) -> Ints:
    """The headline's market price of each card in cents, money.NONE where unknown."""
    card, market = await wire.read(
        db, 2, "select card, market from card_latest where headline and market is not null"
    )
    found = np.full(len(cards), money.NONE, np.int32)
    places = np.searchsorted(cards, card)
    there = (places < len(cards)) & (cards[np.minimum(places, len(cards) - 1)] == card)
    found[places[there]] = market[there]
    return found
