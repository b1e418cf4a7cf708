"""Writes a day: its first version, or a correction of it; and says which prices changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from libs.db import Tx
from services.market.domain import changes, money
from services.market.domain.cards import card_id
from services.market.domain.changes import Ints, Known
from services.market.domain.prices import MARKET, Prices
from services.market.handlers.events import Changes
from services.market.store import cards, latest, quotes
from services.market.store.wire import day_number

Replaced = tuple[int, list[int] | None, list[int] | None]


@dataclass(frozen=True, slots=True)
class Version:
    """What a version changed, and what it replaced: (card, old prices or None, new or None)."""

    changes: Changes
    corrections: Sequence[Replaced] = field(default=())


async def first(tx: Tx, source: int, prices: Prices, numbers: Ints, *, news: bool) -> Version:
    """Stores a day that the source has no version of. `news` is false for history."""
    there, known = await latest.known(tx, source, numbers)
    previous = await _previous(tx, source, prices, numbers, known)
    await quotes.write(tx, source, prices.day, numbers, prices.cents)
    await latest.insert(tx, source, prices.day, numbers[~there], prices.cents[~there])
    await latest.advance(tx, source, prices.day, numbers[there], prices.cents[there])
    market = prices.cents[:, MARKET]
    rows = np.flatnonzero(changes.moved(market, previous))
    newest = (known.days < day_number(prices.day)) & news
    return Version(
        Changes(
            [card_id(prices.keys[row]) for row in rows.tolist()],
            market[rows],
            Known(previous.days[rows], previous.cents[rows]),
            newest[rows],
        )
    )


async def correct(
    tx: Tx, source: int, prices: Prices, numbers: Ints, *, news: bool
) -> Version | None:
    """Replaces a day by another version of it; only rows that differ are written. None where
    nothing differs."""
    day = prices.day
    old_cards, old = await quotes.read_day(tx, source, day)
    diff = changes.compare(old_cards, old, numbers, prices.cents)
    affected = np.concatenate([numbers[diff.added], numbers[diff.changed], old_cards[diff.removed]])
    if not len(affected):
        return None
    added, removed = len(diff.added), len(diff.removed)
    before = np.concatenate([_empty(added), old[diff.was], old[diff.removed]])
    after = np.concatenate([prices.cents[diff.added], prices.cents[diff.changed], _empty(removed)])
    there, known = await latest.known(tx, source, affected)
    previous = await _previous(tx, source, prices, affected, known)
    written = len(affected) - removed
    await quotes.write(tx, source, day, affected[:written], after[:written], gone=affected[added:])
    await latest.insert(tx, source, day, affected[~there], after[~there])
    await latest.recompute(tx, source, day, affected)
    rows = np.flatnonzero(before[:, MARKET] != after[:, MARKET])
    ids = await cards.ids(tx, affected[rows].tolist())
    newest = (known.days <= day_number(day)) & news
    told = Changes(
        [ids[card] for card in affected[rows].tolist()],
        after[rows, MARKET],
        Known(previous.days[rows], previous.cents[rows]),
        newest[rows],
    )
    return Version(told, _replaced(affected, before, after, added, written))


async def _previous(tx: Tx, source: int, prices: Prices, numbers: Ints, known: Known) -> Known:
    """The newest market price before the day: what is known, unless that is of the day or later."""
    late = np.flatnonzero(known.days >= day_number(prices.day))
    if not len(late):
        return known
    earlier = await quotes.known_before(tx, source, prices.day, numbers[late])
    previous = Known(known.days.copy(), known.cents.copy())
    previous.days[late] = earlier.days
    previous.cents[late] = earlier.cents
    return previous


def _empty(count: int) -> Ints:
    return np.full((count, 5), money.NONE, np.int32)


def _replaced(
    affected: Ints, before: Ints, after: Ints, added: int, written: int
) -> list[Replaced]:
    rows = zip(affected.tolist(), before.tolist(), after.tolist(), strict=True)
    return [
        (card, None if row < added else old, new if row < written else None)
        for row, (card, old, new) in enumerate(rows)
    ]
