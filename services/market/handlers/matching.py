"""From a source's own products to cards: by what somebody said, and never by likeness of names."""

from __future__ import annotations

from collections.abc import Sequence

from libs.db import Database
from services.market.domain import prices
from services.market.sources.adapter import (
    Adapter,
    Foreign,
    Rendered,
    UnmatchedError,
    table,
)
from services.market.store import matches


async def matched(db: Database, adapter: Adapter, rendered: Rendered) -> Rendered:
    """The day as files of cards. Products nobody has matched are left out and wait in a list; where
    two products are one card, the first by product and printing is taken. Raises UnmatchedError
    where nothing is left."""
    if not rendered.foreign:
        return rendered
    async with db.transaction() as tx:
        await matches.seen(tx, adapter.quotes, rendered.day, rendered.foreign)
    known = await matches.cards(db, adapter.quotes)
    rows: dict[matches.CardKey, Sequence[str]] = {}
    for one in sorted(rendered.foreign, key=lambda quote: (quote.product, quote.printing)):
        card = known.get((one.product, one.printing))
        if card is not None:
            rows.setdefault(card, _row(rendered, card, one))
    if not rows:
        told = f"none of {len(rendered.foreign):,} products is matched to a card that is known"
        raise UnmatchedError(f"{told}; they wait at /v1/sourceProducts")
    return Rendered(rendered.day, table(prices.COLUMNS, list(rows.values())), rendered.catalog)


def _row(rendered: Rendered, card: matches.CardKey, one: Foreign) -> Sequence[str]:
    return (
        rendered.day.isoformat(),
        card.category,
        str(card.group),
        str(card.product),
        card.printing,
        one.market,
        one.low,
        one.mid,
        one.high,
        one.direct_low,
    )
