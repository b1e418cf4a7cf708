"""What Gmail, Yahoo and Microsoft ask of those who send in bulk, and whether the domain has it.

Each rule is a row. What no record shows, such as the share of complaints, is UNKNOWN here; it is
in the table so that nobody takes a good row for the whole list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.verdict import Check, Finding, Verdict, worst


@dataclass(frozen=True, slots=True)
class Source:
    """Who asks for it, and where that is written."""

    provider: str
    title: str
    uri: str


GMAIL = Source(
    "gmail", "Google: Email sender guidelines", "https://support.google.com/a/answer/81126"
)
YAHOO = Source(
    "yahoo", "Yahoo: Sender Best Practices", "https://senders.yahooinc.com/best-practices/"
)
MICROSOFT = Source(
    "microsoft",
    "Microsoft: Outlook's requirements for high-volume senders",
    "https://techcommunity.microsoft.com/blog/microsoftdefenderforoffice365blog/"
    "strengthening-email-ecosystem-outlook%E2%80%99s-new-requirements-for-high%E2%80%90volume-"
    "senders/4399730",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checks found."""

    subject: Subject
    findings: Sequence[Finding]

    def of(self, check: Check) -> list[Finding]:
        """The findings of one check."""
        return [finding for finding in self.findings if finding.check is check]


@dataclass(frozen=True, slots=True)
class Ruling:
    """A rule and whether the domain keeps it. `rule` is a stable word, `text` says why."""

    source: Source
    rule: str
    requirement: str
    verdict: Verdict
    text: str


Judge = Callable[[Evidence], tuple[Verdict, str]]


def _met(findings: Sequence[Finding]) -> Verdict:
    """A warning is not against any provider's rule."""
    verdict = worst(finding.verdict for finding in findings)
    return {Verdict.WARN: Verdict.PASS, Verdict.NONE: Verdict.UNKNOWN}.get(verdict, verdict)


def _best(findings: Sequence[Finding]) -> Verdict:
    """One of them is enough."""
    met = {_met([finding]) for finding in findings}
    order = (Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL)
    return next((verdict for verdict in order if verdict in met), Verdict.UNKNOWN)


def _told(findings: Sequence[Finding], verdict: Verdict) -> str:
    """The finding that decided."""
    told = (finding.text for finding in findings if _met([finding]) is verdict)
    return next(told, findings[0].text if findings else "")


def _spf(evidence: Evidence) -> tuple[Verdict, str]:
    findings = evidence.of(Check.SPF)
    return _met(findings), _told(findings, _met(findings))


def _dkim(evidence: Evidence) -> tuple[Verdict, str]:
    findings = evidence.of(Check.DKIM)
    return _best(findings), _told(findings, _best(findings))


def _dmarc(evidence: Evidence) -> tuple[Verdict, str]:
    findings = evidence.of(Check.DMARC)
    return _met(findings), _told(findings, _met(findings))


def _both(evidence: Evidence) -> tuple[Verdict, str]:
    return _first_bad(_spf(evidence), _dkim(evidence))


def _aligned(evidence: Evidence) -> tuple[Verdict, str]:
    """DMARC passes when one of both passes for a domain that is aligned."""
    ways = [
        _first_bad(prove(evidence), _alone(evidence, check))
        for prove, check in ((_spf, Check.SPF_ALIGNMENT), (_dkim, Check.DKIM_ALIGNMENT))
    ]
    order = (Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL)
    return min(ways, key=lambda way: order.index(way[0]))


def _alone(evidence: Evidence, check: Check) -> tuple[Verdict, str]:
    """An alignment by itself: that the other one holds is no excuse here."""
    finding = evidence.of(check)[0]
    verdict = Verdict.FAIL if finding.verdict is Verdict.WARN else finding.verdict
    return verdict, finding.text


def _first_bad(*ways: tuple[Verdict, str]) -> tuple[Verdict, str]:
    order = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS)
    return min(ways, key=lambda way: order.index(way[0]))


def _reverse(evidence: Evidence) -> tuple[Verdict, str]:
    findings = evidence.of(Check.REVERSE_DNS)
    return _met(findings), _told(findings, _met(findings))


def _replies(evidence: Evidence) -> tuple[Verdict, str]:
    shown = evidence.of(Check.MX)[:1]
    if shown and shown[0].code == "mx_null":
        return Verdict.FAIL, shown[0].text
    return _met(shown), _told(shown, _met(shown))


def _own_from(evidence: Evidence) -> tuple[Verdict, str]:
    domain = evidence.subject.domain
    if domain in ("gmail.com", "googlemail.com"):
        return Verdict.FAIL, "From shows a Gmail address: Gmail quarantines such mail of others."
    return Verdict.PASS, f"From shows {domain}, which is not Gmail's."


def _unseen(_evidence: Evidence) -> tuple[Verdict, str]:
    return (
        Verdict.UNKNOWN,
        "No record shows it: look at the mail, or at the provider's own figures.",
    )


_RULES: tuple[tuple[Source, str, str, Judge], ...] = (
    (GMAIL, "spf_and_dkim", "SPF and DKIM are both set up", _both),
    (GMAIL, "dkim_key_length", "a DKIM key has at least 1,024 bits", _dkim),
    (GMAIL, "dmarc", "there is a DMARC policy; p=none will do", _dmarc),
    (GMAIL, "alignment", "From is aligned with what SPF or DKIM prove", _aligned),
    (GMAIL, "reverse_dns", "sending addresses have names that lead back to them", _reverse),
    (GMAIL, "own_from", "From does not pretend to be Gmail's", _own_from),
    (GMAIL, "tls", "mail is sent by TLS", _unseen),
    (GMAIL, "one_click_unsubscribe", "subscribed mail can be ended with one click", _unseen),
    (GMAIL, "spam_rate", "under 0.3 % of the mail is reported as spam", _unseen),
    (YAHOO, "spf_and_dkim", "SPF and DKIM are both set up", _both),
    (YAHOO, "dmarc", "there is a DMARC policy; p=none will do", _dmarc),
    (YAHOO, "alignment", "From is aligned with what SPF or DKIM prove", _aligned),
    (YAHOO, "reverse_dns", "sending addresses have names that lead back to them", _reverse),
    (YAHOO, "one_click_unsubscribe", "subscribed mail can be ended with one click", _unseen),
    (YAHOO, "spam_rate", "under 0.3 % of the mail is reported as spam", _unseen),
    (MICROSOFT, "spf", "SPF passes for the sending domain", _spf),
    (MICROSOFT, "dkim", "DKIM passes", _dkim),
    (MICROSOFT, "dmarc", "there is a DMARC policy; p=none will do", _dmarc),
    (MICROSOFT, "alignment", "From is aligned with what SPF or DKIM prove", _aligned),
    (MICROSOFT, "reachable_from", "From can be answered", _replies),
    (MICROSOFT, "unsubscribe", "mail says how to end it", _unseen),
)


def preflight(subject: Subject, findings: Sequence[Finding]) -> tuple[Ruling, ...]:
    """Every rule with its verdict."""
    evidence = Evidence(subject, findings)
    return tuple(
        Ruling(source, rule, requirement, *judge(evidence))
        for source, rule, requirement, judge in _RULES
    )
