"""Ranks movers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from libs.db import Tx
from services.market.analytics import movers
from services.market.domain.pipeline import KEPT_DAYS, DayVersion
from services.market.store import movers as store
from services.market.store.movers import MoverList
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
        lists = await asyncio.to_thread(_lists, prices)
        await store.replace(tx, day, lists)
        await store.prune(tx, day.source_number, day.day, KEPT_DAYS)
        return {"places": sum(len(one.cards) for one in lists)}


def _lists(prices: Prices) -> list[MoverList]:
    lists = []
    for window in movers.WINDOWS:
        found = movers.movers(prices.market, prices.low, window)
        for number, by in ORDERINGS.items():
            for thin in (False, True):
                rows = found.top(by, KEPT, thin=thin, floor=_FLOOR)
                before = found.before[rows]
                lists.append(
                    MoverList(
                        window,
                        number,
                        thin,
                        cards=prices.cards[rows].tolist(),
                        befores=before.tolist(),
                        prices=(before + found.change[rows]).tolist(),
                        moves=found.moves[rows].tolist(),
                    )
                )
    return lists
