"""Which prices changed, and how changes are cut into batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.market.domain import money

MAX_BATCH = 1000
STALE_DAYS = 30

Ints = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

# Stands for "no day" in arrays of days; days count from an epoch of the store's choosing.
NO_DAY = np.iinfo(np.int32).min


@dataclass(frozen=True, slots=True)
class Known:
    """Row by row: the newest market price that is known before something, and its day.

    `cents` is money.NONE, and `days` NO_DAY, where none is known.
    """

    days: Ints
    cents: Ints

    @classmethod
    def nothing(cls, count: int) -> Known:
        """No price is known of any of `count` cards."""
        return cls(np.full(count, NO_DAY, np.int32), np.full(count, money.NONE, np.int32))


def moved(market: Ints, previous: Known) -> Mask:
    """The rows whose market price differs from the previous known one, or is the first."""
    changed: Mask = (market != money.NONE) & (market != previous.cents)
    return changed


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of changes that travel in one message: of one shard, all or none of them newest."""

    shard: int
    newest: bool
    rows: Rows


def batches(shards: Ints, newest: Mask) -> Iterator[Batch]:
    """Cuts rows into batches by shard and newness, in row order, of at most MAX_BATCH."""
    group = shards.astype(np.int64) * 2 + newest
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        for start in range(0, len(rows), MAX_BATCH):
            shard, flag = divmod(int(group[rows[0]]), 2)
            yield Batch(shard, bool(flag), rows[start : start + MAX_BATCH])


@dataclass(frozen=True, slots=True)
class Difference:
    """How two versions of a day differ. Rows are places in the arrays that were compared."""

    added: Rows  # of the new version
    changed: Rows  # of the new version
    was: Rows  # of the old version, beside `changed`
    removed: Rows  # of the old version


def compare(old_cards: Ints, old: Ints, new_cards: Ints, new: Ints) -> Difference:
    """Compares two versions; cards are distinct within each, values are n × 5 cents."""
    _, was, now = np.intersect1d(old_cards, new_cards, assume_unique=True, return_indices=True)
    differs = (old[was] != new[now]).any(axis=1)
    return Difference(
        added=np.flatnonzero(~np.isin(new_cards, old_cards, assume_unique=True)),
        changed=now[differs],
        was=was[differs],
        removed=np.flatnonzero(~np.isin(old_cards, new_cards, assume_unique=True)),
    )
