"""A sending domain as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.delivery.domain.authentication.report import Report
from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.verdict import Finding


@dataclass(frozen=True, slots=True)
class SendingDomain:
    """`settled` is of each check what was found when DNS last answered; `check_time` when the
    last one began."""

    subject: Subject
    revision: int
    create_time: datetime
    update_time: datetime
    next_check_time: datetime
    report: Report | None = None
    settled: tuple[Finding, ...] = ()
    check_time: datetime | None = None
    drift_time: datetime | None = None

    @property
    def name(self) -> str:
        """The resource's name."""
        return f"domains/{self.subject.domain}"

    @property
    def etag(self) -> str:
        """Changes with every change of what is asked for."""
        return f'"{self.revision}"'
