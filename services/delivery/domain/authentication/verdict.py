"""Verdicts, and what they are about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from services.delivery.domain.authentication.facts import Answer


class Verdict(IntEnum):
    """pq.delivery.v1.DomainVerdict, number by number."""

    PASS = 1
    WARN = 2
    FAIL = 3
    UNKNOWN = 4
    NONE = 5  # not published, and nothing needs it


# The worst first. What is unknown may be a fault; what is only a warning is none.
_WORST = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS, Verdict.NONE)


class Check(IntEnum):
    """pq.delivery.v1.DomainCheckType, number by number."""

    SPF = 1
    SPF_ALIGNMENT = 2
    DKIM = 3
    DKIM_ALIGNMENT = 4
    DMARC = 5
    MX = 6
    MTA_STS = 7
    TLS_RPT = 8
    BIMI = 9
    REVERSE_DNS = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `code` is a stable word, `text` a sentence; `records` is what DNS holds.

    `subject` tells apart what one check looks at twice, such as two DKIM selectors.
    """

    check: Check
    verdict: Verdict
    code: str
    text: str
    records: tuple[str, ...] = ()
    subject: str = ""

    @property
    def key(self) -> tuple[Check, str]:
        """What stays the same from one time to the next."""
        return self.check, self.subject


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be."""

    verdict: Verdict
    code: str
    text: str


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; NONE of none."""
    found = set(verdicts)
    return next((verdict for verdict in _WORST if verdict in found), Verdict.NONE)


def conclude(
    check: Check,
    faults: Iterable[Fault],
    good: tuple[str, str],
    records: tuple[str, ...] = (),
    subject: str = "",
) -> Finding:
    """The worst fault speaks first, and the others follow it; `good` (code, text) where none is."""
    ordered = sorted(faults, key=lambda fault: _WORST.index(fault.verdict))
    if not ordered:
        return Finding(check, Verdict.PASS, *good, records, subject)
    text = " ".join(fault.text for fault in ordered)
    return Finding(check, ordered[0].verdict, ordered[0].code, text, records, subject)


def unread(check: Check, name: str, answer: Answer, subject: str = "") -> Finding:
    """Nobody could say what DNS holds."""
    text = f"{name} could not be read: {answer.problem}."
    return Finding(check, Verdict.UNKNOWN, "dns_unavailable", text, (), subject)
