"""Ranks that average ties, which decide everything where most returns are exactly 0."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from services.market.analytics import kernels

Floats = npt.NDArray[np.float64]


def average_ranks(values: Floats) -> Floats:
    """Ranks 1 … k of the k known values (1-d); equal ones share their mean rank, NaN stays NaN."""
    kept = np.ascontiguousarray(values)
    # NaN sorts last; the order among equals does not matter, for they get the same rank.
    order = np.argsort(kept)
    return kernels.tied(kept, order, len(kept) - int(np.count_nonzero(np.isnan(kept))))


def centred(values: Floats) -> Floats:
    """Average ranks scaled to (−1, 1) around 0; NaN stays NaN."""
    ranks = average_ranks(values)
    known = np.count_nonzero(~np.isnan(ranks))
    return ranks if known == 0 else (2 * ranks - known - 1) / known
