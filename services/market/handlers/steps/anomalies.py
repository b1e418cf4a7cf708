"""Finds prices that moved unusually far."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID, uuid5

import numpy as np

from libs.db import Tx
from libs.ids import derive
from pq.market.v1 import anomalies_events_pb2
from services.market import messages
from services.market.analytics import anomalies
from services.market.analytics.anomalies import AnomalyRule, Kind
from services.market.domain.imports import Mode
from services.market.domain.pipeline import DayVersion
from services.market.store import anomalies as store
from services.market.store import snapshots
from services.market.store.panels import Panels, Prices

_KINDS = {Kind.REPRICED: 1, Kind.MOVING: 2, Kind.THIN: 3}
# The same anomaly of the same version has the same id, however often it is computed.
_NAMESPACE = UUID("5f4b5f0c-5a0e-5d62-9a54-3d3b8f1f6a11")


class Anomalies:
    """See analytics.anomalies for the rule."""

    name = "anomalies"
    code_version = "anomalies-1"

    async def __call__(self, tx: Tx, day: DayVersion, panels: Panels) -> Mapping[str, int]:
        """Counts those found, and those not seen before."""
        prices = await panels.upto(day.source_number, day.day)
        quiet = AnomalyRule().quiet_days
        latest = await store.latest(tx, day.source_number, day.day, quiet)
        found = await asyncio.to_thread(_find, prices, day, latest)
        new = await store.replace(tx, day, found)
        if new and await self._is_news(tx, day):
            await _tell(tx, new)
        return {"found": len(found), "new": len(new)}

    async def _is_news(self, tx: Tx, day: DayVersion) -> bool:
        newest = (await snapshots.standing(tx, day.source_number, day.day)).newest
        return day.day == newest and day.mode is not Mode.BACKFILL


async def _tell(tx: Tx, new: Sequence[UUID]) -> None:
    for one in await store.by_id(tx, new):
        tx.publish(
            anomalies_events_pb2.AnomalyDetected(
                card=messages.card_name(one.card), anomaly=messages.anomaly(one)
            ),
            id=derive(one.id, "detected"),
        )


def _find(prices: Prices, day: DayVersion, latest: Mapping[int, date]) -> list[store.Found]:
    ago = np.full(len(prices.cards), -1, np.int64)
    for card, when in latest.items():
        row = prices.row_of(card)
        if row is not None:
            ago[row] = (day.day - when).days
    return [
        store.Found(
            id=_id(day, int(prices.cards[one.card])),
            card=int(prices.cards[one.card]),
            kind=_KINDS[one.kind],
            before=one.before,
            price=one.price,
            score=one.score,
            explanation=one.explanation(),
        )
        for one in anomalies.find(prices.market, ago)
    ]


def _id(day: DayVersion, card: int) -> UUID:
    return uuid5(_NAMESPACE, f"{day.source} {day.day} {day.version} {card}")
