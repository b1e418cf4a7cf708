"""All checks of a domain together, and what changed since the last time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.delivery.domain.authentication.alignment import check_alignment
from services.delivery.domain.authentication.bimi import check_bimi
from services.delivery.domain.authentication.dkim import check_dkim
from services.delivery.domain.authentication.dmarc import check_dmarc, find_policy
from services.delivery.domain.authentication.facts import Facts
from services.delivery.domain.authentication.mx import check_mx, check_reverse
from services.delivery.domain.authentication.names import Organization
from services.delivery.domain.authentication.preflight import Ruling, preflight
from services.delivery.domain.authentication.spf_check import check_spf
from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.transport import check_mta_sts, check_tls_rpt
from services.delivery.domain.authentication.verdict import Check, Finding, Verdict, worst
from services.delivery.domain.authentication.wanted import WantedRecord, wanted_records

Key = tuple[Check, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found out about a domain at one time."""

    findings: tuple[Finding, ...]
    records: tuple[WantedRecord, ...]
    rulings: tuple[Ruling, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return worst(finding.verdict for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Change:
    """A finding that is not what it was."""

    before: Finding
    after: Finding


def assess(subject: Subject, facts: Facts, organization: Organization) -> Report:
    """Runs all checks on what is known. What they lack is then in `facts.wanted`."""
    policy = find_policy(subject.domain, facts, organization)
    findings = [
        check_spf(subject, facts),
        *check_dkim(subject, facts),
        check_dmarc(subject, policy, facts, organization),
        *check_alignment(subject, policy, organization),
        *check_mx(subject, facts),
        *check_reverse(subject, facts),
        check_mta_sts(subject, facts),
        check_tls_rpt(subject, facts),
        check_bimi(subject, policy, facts, organization),
    ]
    records = wanted_records(subject, policy, findings, facts)
    return Report(tuple(findings), records, preflight(subject, findings))


def is_settled(finding: Finding) -> bool:
    """Whether it says something of the domain, and not that DNS was away."""
    return finding.code != "dns_unavailable"


def settle(known: Mapping[Key, Finding], found: Iterable[Finding]) -> dict[Key, Finding]:
    """What is known of each check: what was found now, or before where DNS is away now."""
    return {
        finding.key: finding if is_settled(finding) else known.get(finding.key, finding)
        for finding in found
    }


def drift(known: Mapping[Key, Finding], now: Mapping[Key, Finding]) -> tuple[Change, ...]:
    """What changed: a verdict, its reason, or the records behind it. A check that is new, or that
    was never read before, has not changed."""
    return tuple(
        Change(before, after)
        for key, after in now.items()
        if (before := known.get(key)) is not None
        and is_settled(before)
        and _essence(before) != _essence(after)
    )


def _essence(finding: Finding) -> tuple[Verdict, str, frozenset[str]]:
    return finding.verdict, finding.code, frozenset(finding.records)
