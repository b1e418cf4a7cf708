"""From a source's own products to cards: by what somebody said, and never by likeness of names."""

from __future__ import annotations

from collections import defaultdict
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
    """The day as files of cards, one for each source that is quoted. Products nobody has matched
    are left out and wait in a list; where two products are one card, the first by product and
    printing is taken. Raises UnmatchedError where nothing is left."""
    if not rendered.foreign:
        return rendered
    products = {(one.product, one.printing): one for one in rendered.foreign}
    async with db.transaction() as tx:
        await matches.seen(tx, adapter.quotes, rendered.day, list(products.values()))
    known = await matches.cards(db, adapter.quotes)
    rows: defaultdict[str, dict[matches.CardKey, Sequence[str]]] = defaultdict(dict)
    for one in sorted(rendered.foreign, key=lambda quote: (quote.product, quote.printing)):
        card = known.get((one.product, one.printing))
        if card is not None:
            rows[one.quotes or adapter.quotes].setdefault(card, _row(rendered, card, one))
    if not rows:
        told = f"none of {len(products):,} products is matched to a card that is known"
        raise UnmatchedError(f"{told}; they wait at /v1/sourceProducts")
    files = {name: table(prices.COLUMNS, list(found.values())) for name, found in rows.items()}
    main = files.pop(adapter.quotes, b"")
    return Rendered(rendered.day, main, rendered.catalog, others=files)


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
