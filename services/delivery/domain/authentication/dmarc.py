"""The verdict on DMARC (RFC 7489): where the policy is found, what it says, who gets reports."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.delivery.domain.authentication.facts import Answer, Facts, Kind
from services.delivery.domain.authentication.names import Alignment, Organization, is_name
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

# Readers need not send to more than two.
_URIS = 10
_POLICIES = ("none", "quarantine", "reject")
_MAILTO = re.compile(r"mailto:[^@\s,!]+@([A-Za-z0-9.-]+)(![0-9]+[kmgt]?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Policy:
    """What was found for a domain: at `domain`, which may be the organisational one. No `records`
    mean no policy; `unsure` is set where nobody could say."""

    domain: str
    records: tuple[str, ...] = ()
    unsure: Answer | None = None

    @property
    def tags(self) -> Tags:
        """Of the one record; without any where there is not exactly one."""
        return parse_tags(self.records[0] if len(self.records) == 1 else "")

    def alignment(self, tag: str) -> Alignment:
        """What adkim or aspf ask for."""
        strict = self.tags.get(tag).lower() == "s"
        return Alignment.STRICT if strict else Alignment.RELAXED

    def strictness(self, shown: str) -> int:
        """0 for none, 1 for quarantine, 2 for reject, for mail that shows the domain `shown`."""
        wanted = self.tags.get("p").lower()
        if shown != self.domain:
            wanted = self.tags.get("sp", wanted).lower()
        return _POLICIES.index(wanted) if wanted in _POLICIES else 0


def find_policy(domain: str, facts: Facts, organization: Organization) -> Policy:
    """The policy for mail that shows `domain`: its own, else its organisation's (section 6.6.3)."""
    for name in dict.fromkeys((domain, organization(domain))):
        answer = facts.ask(Kind.TXT, f"_dmarc.{name}")
        if answer.unsure:
            return Policy(name, unsure=answer)
        records = versioned(answer.values, "DMARC1")
        if records:
            return Policy(name, records)
    return Policy(domain)


def check_dmarc(
    subject: Subject, policy: Policy, facts: Facts, organization: Organization
) -> Finding:
    """Whether receivers are told what to do with mail that fails, and whom to tell."""
    where = f"_dmarc.{policy.domain}"
    if policy.unsure is not None:
        return unread(Check.DMARC, where, policy.unsure)
    if not policy.records:
        text = f"There is no DMARC record at {where}."
        return Finding(Check.DMARC, Verdict.FAIL, "dmarc_missing", text)
    if len(policy.records) > 1:
        text = f"There are {len(policy.records)} DMARC records at {where}: none counts."
        return Finding(Check.DMARC, Verdict.FAIL, "dmarc_multiple", text, policy.records)
    faults = [*_policy_faults(subject, policy), *_value_faults(policy.tags)]
    reports, waiting = _report_faults(policy, facts, organization)
    broken = any(fault.verdict is Verdict.FAIL for fault in faults)
    if waiting is not None and not broken:
        return unread(Check.DMARC, *waiting)
    good = ("dmarc_ok", f"The policy at {where} protects the domain.")
    return conclude(Check.DMARC, [*faults, *reports], good, policy.records)


def _policy_faults(subject: Subject, policy: Policy) -> list[Fault]:
    tags, faults = policy.tags, []
    wanted = tags.get("p").lower()
    if wanted not in _POLICIES:
        # Section 6.6.3, step 6: with a place for reports, it counts as p=none.
        said = f"p={wanted[:20]} is no policy" if wanted else "p= is missing"
        faults.append(_fail("dmarc_syntax", f"{said}; expected none, quarantine or reject."))
    if "sp" in tags.values and tags.get("sp").lower() not in _POLICIES:
        text = f"sp={tags.get('sp')[:20]} is no policy; expected none, quarantine or reject."
        faults.append(_fail("dmarc_syntax", text))
    if faults:
        return faults
    if policy.strictness(subject.domain) == 0:
        text = (
            f"The policy for {subject.domain} is none: mail that fails is delivered all the same."
        )
        faults.append(_warn("dmarc_policy_none", text))
    elif tags.get("sp").lower() == "none":
        text = "sp=none leaves subdomains open to others."
        faults.append(_warn("dmarc_subdomains_open", text))
    return faults


def _value_faults(tags: Tags) -> list[Fault]:
    faults = [_fail("dmarc_syntax", f"The record cannot be read: {why}.") for why in tags.problems]
    if next(iter(tags.values)) != "v" or list(tags.values)[1:2] != ["p"]:
        # Readers differ: some ask for p= in second place, as the first edition did.
        text = "Write v=DMARC1 first and p= second, as some readers insist."
        faults.append(_warn("dmarc_order", text))
    faults += [
        _warn("dmarc_syntax", f"{tag}= must be r or s.")
        for tag in ("adkim", "aspf")
        if tags.get(tag, "r").lower() not in ("r", "s")
    ]
    if tags.get("t").lower() == "y":
        # Of RFC 7489's successor, in the place of pct.
        faults.append(_warn("dmarc_testing", "t=y says that the policy is only being tested."))
    percent = tags.get("pct", "100")
    if not (percent.isascii() and percent.isdigit() and int(percent[:4]) <= 100):
        faults.append(_warn("dmarc_syntax", "pct= must be 0 to 100."))
    elif int(percent) < 100:
        text = f"pct={int(percent)} applies the policy to a part of the mail only."
        faults.append(_warn("dmarc_partial", text))
    return faults


def _report_faults(
    policy: Policy, facts: Facts, organization: Organization
) -> tuple[list[Fault], tuple[str, Answer] | None]:
    """Faults of rua and ruf; and the first name that could not be read."""
    faults: list[Fault] = []
    waiting = None
    if not policy.tags.get("rua"):
        text = "There is no rua=: nobody gets reports of who sends in this domain's name."
        faults.append(_warn("dmarc_no_reports", text))
    for tag in ("rua", "ruf"):
        uris = [part.strip() for part in policy.tags.get(tag).split(",")]
        for uri in filter(None, uris[:_URIS]):
            match = _MAILTO.fullmatch(uri)
            if match is None or not is_name(match[1].lower()):
                text = f"{tag}= holds {uri[:60]!r}; expected mailto: and an address."
                faults.append(_warn("dmarc_report_address", text))
                continue
            host = match[1].lower()
            if organization(host) == organization(policy.domain):
                continue
            name = f"{policy.domain}._report._dmarc.{host}"
            answer = facts.ask(Kind.TXT, name)
            if answer.unsure:
                waiting = waiting or (name, answer)
            elif not versioned(answer.values, "DMARC1"):
                text = f"{host} does not agree to get reports: {name} must hold v=DMARC1."
                faults.append(_warn("dmarc_reports_unauthorized", text))
    return faults, waiting


def _fail(code: str, text: str) -> Fault:
    return Fault(Verdict.FAIL, code, text)


def _warn(code: str, text: str) -> Fault:
    return Fault(Verdict.WARN, code, text)
