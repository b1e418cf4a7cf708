"""The event that tells of a sending domain's drift."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from libs.api.wire import stamp
from pq.delivery.v1 import domains_pb2 as pb
from pq.delivery.v1.domains_events_pb2 import DomainChange, DomainDrifted
from services.delivery.domain.authentication.report import Change
from services.delivery.domain.authentication.verdict import Finding, Verdict


def drifted(
    name: str, verdict: Verdict, changes: Iterable[Change], time: datetime
) -> DomainDrifted:
    """What changed at the domain `name`, found at `time`."""
    return DomainDrifted(
        domain=name,
        verdict=pb.DomainVerdict.ValueType(verdict),
        changes=[
            DomainChange(before=check_pb(change.before), after=check_pb(change.after))
            for change in changes
        ],
        check_time=stamp(time),
    )


def check_pb(finding: Finding) -> pb.DomainCheck:
    """A finding as it is shown."""
    return pb.DomainCheck(
        check=pb.DomainCheckType.ValueType(finding.check),
        subject=finding.subject,
        verdict=pb.DomainVerdict.ValueType(finding.verdict),
        code=finding.code,
        text=finding.text,
        records=finding.records,
    )
