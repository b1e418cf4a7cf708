"""Compiles the kernels once, so that no service does it while it serves; images do it too:

python -m services.market.analytics.warm
"""

from __future__ import annotations

from datetime import date

import numpy as np

from services.market.analytics import anomalies, movers, quality, signals
from services.market.analytics.panel import Panel


def warm() -> None:
    """Calls every kernel; those that are kept compiled are only loaded."""
    cents = np.arange(100, 100 + 2 * 40, dtype=np.int32).reshape(2, 40)
    panel = Panel.load(date(2025, 1, 1), cents)
    signals.compute(panel, panel)
    quality.staleness(panel)
    movers.movers(panel, panel, 7)
    anomalies.find(panel)


if __name__ == "__main__":
    warm()
