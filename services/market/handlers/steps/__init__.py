"""The steps of the daily pipeline, in order."""

from __future__ import annotations

from services.market.handlers.pipeline.step import Step
from services.market.handlers.steps.anomalies import Anomalies
from services.market.handlers.steps.indices import Indices
from services.market.handlers.steps.movers import Movers
from services.market.handlers.steps.signals import Signals
from services.market.handlers.steps.ticks import Ticks


def steps() -> list[Step]:
    """All of them. Ticks come before signals: an open suspicion lowers a price's quality."""
    return [Ticks(), Signals(), Movers(), Indices(), Anomalies()]
