"""Ranks movers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from libs.db import Tx
from services.market.analytics import movers
from services.market.domain.pipeline import KEPT_DAYS, DayVersion
from services.market.store import movers as store
from services.market.store.panels import Panels, Prices

# By the contract's numbers.
ORDERINGS = {1: "gain", 2: "loss", 3: "relative_gain", 4: "relative_loss", 5: "moves"}
KEPT = 100
# Below a dollar a cent is a large share.
_FLOOR = 100


class Movers:
    """See analytics.movers for the rule of evidence."""

    name = "movers"
    code_version = f"movers-{movers.EvidenceRule().version}"

    async def __call__(self, tx: Tx, day: DayVersion, panels: Panels) -> Mapping[str, int]:
        """Counts the places given."""
        prices = await panels.upto(day.source_number, day.day)
        ranked = await asyncio.to_thread(_ranked, prices)
        await store.replace(tx, day, ranked)
        await store.prune(tx, day.source_number, day.day, KEPT_DAYS)
        return {"places": len(ranked)}


def _ranked(prices: Prices) -> list[store.Ranked]:
    ranked: list[store.Ranked] = []
    for window in movers.WINDOWS:
        found = movers.movers(prices.market, prices.low, window)
        for number, by in ORDERINGS.items():
            for thin in (False, True):
                rows = found.top(by, KEPT, thin=thin, floor=_FLOOR)
                ranked += [
                    (
                        window,
                        number,
                        thin,
                        place,
                        int(prices.cards[row]),
                        int(found.before[row]),
                        int(found.before[row] + found.change[row]),
                        int(found.moves[row]),
                    )
                    for place, row in enumerate(rows, 1)
                ]
    return ranked
