"""Which number each card has: looked up once, kept in memory, made when it is new."""

from __future__ import annotations

import numpy as np

from libs.db import Tx
from services.market.domain.cards import CardKey, NewCard, card_id
from services.market.domain.changes import Ints
from services.market.domain.prices import Prices
from services.market.store import cards


class CardIndex:
    """Numbers by key. Cards are never deleted and never change their number, so this cannot go
    stale; what a transaction finds or makes is kept only once it has committed."""

    def __init__(self) -> None:
        self._numbers: dict[CardKey, int] = {}

    async def resolve(self, tx: Tx, prices: Prices) -> Ints:
        """The numbers of a file's cards, row by row.

        Rows whose id belongs to another printing are set aside; new cards are made.
        """
        numbers = list(map(self._numbers.get, prices.keys))
        missing = [row for row, number in enumerate(numbers) if number is None]
        if missing:
            taken = await self._taken(
                tx, prices, {row: card_id(prices.keys[row]) for row in missing}
            )
            clashes: dict[int, str] = {}
            for row, (id, (number, key)) in taken.items():
                numbers[row] = number
                if key != prices.keys[row]:
                    clashes[row] = f"another card, {key}, has the same id, {id}"
            learnt = {
                key: number for row, (_, (number, key)) in taken.items() if row not in clashes
            }
            tx.after_commit(lambda: self._numbers.update(learnt))
            if clashes:
                prices.set_aside(list(clashes), "card_collision", list(clashes.values()))
                numbers = [number for row, number in enumerate(numbers) if row not in clashes]
        return np.array(numbers, np.int32)

    async def _taken(
        self, tx: Tx, prices: Prices, ids: dict[int, str]
    ) -> dict[int, tuple[str, tuple[int, CardKey]]]:
        """Who has each row's id: its id, and that card's number and key."""
        await cards.lock(tx)
        found = await cards.numbers(tx, list(set(ids.values())))
        new: dict[str, NewCard] = {}
        for row, id in ids.items():
            if id not in found and id not in new:
                new[id] = NewCard(id, prices.keys[row], prices.set_ids[row])
        made = await cards.insert(tx, sorted(new.values(), key=lambda card: card.id))
        found |= {id: (number, new[id].key) for id, number in made.items()}
        return {row: (id, found[id]) for row, id in ids.items()}
