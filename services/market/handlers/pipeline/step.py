"""What a step of the pipeline is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from libs.db import Tx
from services.market.domain.pipeline import DayVersion
from services.market.store.panels import Panels


class Step(Protocol):
    """Computes something of a day and stores it in the run's transaction.

    Done again, it replaces what it stored of that version. `code_version` changes whenever results
    may.
    """

    @property
    def name(self) -> str: ...

    @property
    def code_version(self) -> str: ...

    async def __call__(self, tx: Tx, day: DayVersion, panels: Panels) -> Mapping[str, int]:
        """Answers what it counted."""
        ...
