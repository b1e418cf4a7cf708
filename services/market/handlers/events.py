"""Tells the other services of a day: its changes in batches, then its version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from libs.api.wire import resource_name, stamp
from libs.db import Tx
from pq.market.v1 import market_events_pb2, market_pb2
from services.market import messages
from services.market.domain import money
from services.market.domain.cards import shard
from services.market.domain.changes import (
    NO_DAY,
    STALE_DAYS,
    Batch,
    Ints,
    Known,
    Mask,
    batches,
)
from services.market.domain.imports import Snapshot
from services.market.store.wire import day_number, day_of

_STALE = market_events_pb2.QUALITY_FLAG_STALE_PREVIOUS


@dataclass(frozen=True, slots=True)
class Changes:
    """Cards whose price changed: new price (money.NONE where it went), what was known before, and
    whether the day is the card's newest known one."""

    ids: Sequence[str]
    prices: Ints
    previous: Known
    newest: Mask

    def __len__(self) -> int:
        return len(self.ids)


def publish(tx: Tx, snapshot: Snapshot, currency: str, changes: Changes) -> None:
    """Sends a version's changes and the version itself with the transaction."""
    shards = np.fromiter(map(shard, changes.ids), np.int32, len(changes))
    texts: dict[int, str] = {NO_DAY: ""}
    for number in np.unique(changes.previous.days).tolist():
        texts.setdefault(number, "" if number == NO_DAY else day_of(number).isoformat())
    for batch in batches(shards, changes.newest):
        tx.publish(_message(snapshot, currency, changes, batch, texts))
    tx.publish(
        market_events_pb2.SnapshotPublished(market="all", snapshot=messages.snapshot(snapshot))
    )


def _message(
    snapshot: Snapshot, currency: str, changes: Changes, batch: Batch, texts: dict[int, str]
) -> market_events_pb2.PricesChanged:
    rows = batch.rows
    stale_before = day_number(snapshot.day) - STALE_DAYS
    table = zip(
        rows.tolist(),
        changes.prices[rows].tolist(),
        changes.previous.cents[rows].tolist(),
        changes.previous.days[rows].tolist(),
        strict=True,
    )
    return market_events_pb2.PricesChanged(
        shard=batch.shard,
        source=snapshot.source,
        currency_code=currency,
        day=snapshot.day.isoformat(),
        version=snapshot.version,
        mode=market_pb2.Mode.ValueType(snapshot.mode),
        newest=batch.newest,
        accept_time=stamp(snapshot.publish_time),
        changes=[
            market_events_pb2.PriceChange(
                card=changes.ids[row],
                price=None if price == money.NONE else price,
                previous_price=None if before == money.NONE else before,
                previous_day=texts[day],
                flags=[_STALE] if NO_DAY < day < stale_before else None,
            )
            for row, price, before, day in table
        ],
        **{"import": resource_name("imports", messages.PREFIX, snapshot.import_id)},
    )
