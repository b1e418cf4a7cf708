"""BIMI: the logo beside the mail. Its syntax, and whether DMARC is strict enough for it."""

from __future__ import annotations

from urllib.parse import urlsplit

from services.delivery.domain.authentication.dmarc import Policy
from services.delivery.domain.authentication.facts import Facts, Kind
from services.delivery.domain.authentication.names import Organization
from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.tags import Tags, parse_tags, versioned
from services.delivery.domain.authentication.verdict import (
    Check,
    Fault,
    Finding,
    Verdict,
    conclude,
    unread,
)


def check_bimi(
    subject: Subject, policy: Policy, facts: Facts, organization: Organization
) -> Finding:
    """Whether the logo that is published can be shown."""
    found: tuple[str, ...] = ()
    for domain in dict.fromkeys((subject.domain, organization(subject.domain))):
        name = f"default._bimi.{domain}"
        answer = facts.ask(Kind.TXT, name)
        if answer.unsure:
            return unread(Check.BIMI, name, answer)
        found = versioned(answer.values, "BIMI1")
        if found:
            break
    if not found:
        text = "The domain publishes no logo; it need not."
        return Finding(Check.BIMI, Verdict.NONE, "bimi_none", text)
    if len(found) > 1:
        text = f"There are {len(found)} BIMI records: none counts."
        return Finding(Check.BIMI, Verdict.FAIL, "bimi_multiple", text, found)
    tags = parse_tags(found[0])
    if not tags.get("l") and not tags.get("a") and not tags.problems:
        text = "The domain says that it wants no logo shown."
        return Finding(Check.BIMI, Verdict.NONE, "bimi_declined", text, found)
    faults = _faults(tags)
    if not faults and not _enforced(subject, policy):
        text = "Logos are shown for a DMARC policy of quarantine or reject with pct=100 alone."
        faults.append(Fault(Verdict.WARN, "bimi_needs_dmarc", text))
    return conclude(Check.BIMI, faults, ("bimi_ok", "The logo can be shown."), found)


def _faults(tags: Tags) -> list[Fault]:
    faults = [Fault(Verdict.FAIL, "bimi_syntax", f"It cannot be read: {p}.") for p in tags.problems]
    if not _is_https(tags.get("l"), ".svg", ".svg.gz"):
        text = "l= must be the https address of an SVG."
        faults.append(Fault(Verdict.FAIL, "bimi_logo", text))
    if tags.get("a") and not _is_https(tags.get("a"), ".pem"):
        text = "a= must be the https address of a certificate (PEM)."
        faults.append(Fault(Verdict.FAIL, "bimi_certificate", text))
    elif not tags.get("a"):
        text = "Without a certificate (a=) Gmail and Apple show no logo."
        faults.append(Fault(Verdict.WARN, "bimi_no_certificate", text))
    return faults


def _is_https(text: str, *endings: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.netloc) and parts.path.lower().endswith(endings)


def _enforced(subject: Subject, policy: Policy) -> bool:
    return policy.strictness(subject.domain) > 0 and policy.tags.get("pct", "100") == "100"
