"""Whether what SPF and DKIM prove is the domain that people see."""

from __future__ import annotations

from services.delivery.domain.authentication.dmarc import Policy
from services.delivery.domain.authentication.names import Organization, aligned
from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.verdict import Check, Finding, Verdict, unread


def check_alignment(subject: Subject, policy: Policy, organization: Organization) -> list[Finding]:
    """For SPF and for DKIM. One is enough for DMARC: the other is then a warning."""
    if policy.unsure is not None:
        where = f"_dmarc.{policy.domain}"
        checks = (Check.SPF_ALIGNMENT, Check.DKIM_ALIGNMENT)
        return [unread(check, where, policy.unsure) for check in checks]
    spf = _is_spf_aligned(subject, policy, organization)
    dkim = _is_dkim_aligned(subject, policy, organization)
    return [_spf(subject, policy, spf, other=dkim), _dkim(subject, policy, dkim, other=spf)]


def _is_spf_aligned(subject: Subject, policy: Policy, organization: Organization) -> bool:
    return aligned(subject.mail_from, subject.domain, policy.alignment("aspf"), organization)


def _is_dkim_aligned(subject: Subject, policy: Policy, organization: Organization) -> bool:
    mode = policy.alignment("adkim")
    return any(aligned(key.domain, subject.domain, mode, organization) for key in subject.keys)


def _spf(subject: Subject, policy: Policy, held: bool, *, other: bool) -> Finding:
    mode = policy.alignment("aspf").value
    if held:
        text = f"MAIL FROM is of {subject.mail_from}: {mode} alignment with {subject.domain}."
        return Finding(Check.SPF_ALIGNMENT, Verdict.PASS, "spf_aligned", text)
    text = f"MAIL FROM is of {subject.mail_from}, which is not {subject.domain} ({mode} alignment)."
    verdict = Verdict.WARN if other else Verdict.FAIL
    return Finding(Check.SPF_ALIGNMENT, verdict, "spf_unaligned", text)


def _dkim(subject: Subject, policy: Policy, held: bool, *, other: bool) -> Finding:
    mode = policy.alignment("adkim").value
    if not subject.keys:
        text = "No DKIM key is named for this domain."
        return Finding(Check.DKIM_ALIGNMENT, Verdict.UNKNOWN, "dkim_not_named", text)
    signers = ", ".join(dict.fromkeys(key.domain for key in subject.keys))
    if held:
        text = f"Signatures are of {signers}: {mode} alignment with {subject.domain}."
        return Finding(Check.DKIM_ALIGNMENT, Verdict.PASS, "dkim_aligned", text)
    text = f"Signatures are of {signers}, which is not {subject.domain} ({mode} alignment)."
    verdict = Verdict.WARN if other else Verdict.FAIL
    return Finding(Check.DKIM_ALIGNMENT, verdict, "dkim_unaligned", text)
