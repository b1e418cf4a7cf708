"""Measurements: ratios in one run. Never a timed assertion in the suite."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    `at_least` says which way `target` reads. A rival's value was measured in the same run.
    """

    name: str
    scale: int
    value: float
    unit: str
    target: float | None = None
    at_least: bool = True
    rival: str = ""
    rival_value: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    @property
    def ratio(self) -> float | None:
        """The value as a share of the rival's; None without one."""
        return self.value / self.rival_value if self.rival_value else None

    def document(self) -> dict[str, Any]:
        """The row as it is written to latest.json."""
        return {**asdict(self), "met": self.met, "ratio": self.ratio}
