"""What concerns mail that comes in: MTA-STS (RFC 8461) and TLS reports (RFC 8460)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.delivery.domain.authentication.facts import Answer, Facts, Kind
from services.delivery.domain.authentication.mx import hosts_of, reach
from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.tags import parse_tags, versioned
from services.delivery.domain.authentication.verdict import (
    Check,
    Fault,
    Finding,
    Verdict,
    conclude,
    unread,
)

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_MAX_AGE = 31_557_600
_SHORT_AGE = 86_400
_REPORT_URI = re.compile(r"mailto:[^@\s,]+@[A-Za-z0-9.-]+|https://[^\s,]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy as it was read; `problems` in words."""

    mode: str
    max_age: int
    mx: tuple[str, ...]
    problems: tuple[str, ...]

    def covers(self, host: str) -> bool:
        """Whether a mail server is among those named; "*." stands for one label."""
        parent = host.partition(".")[2]
        return host in self.mx or f"*.{parent}" in self.mx


def parse_policy(text: str) -> StsPolicy:
    """Reads a policy (section 3.2); what cannot be read is a problem and never an exception."""
    fields: dict[str, str] = {}
    mx, problems = [], []
    for line in filter(None, (line.strip() for line in re.split(r"\r?\n", text))):
        name, colon, value = line.partition(":")
        if not colon:
            problems.append(f"{line[:40]!r} is not a field and its value")
        elif name.strip() == "mx":
            mx.append(value.strip().lower().removesuffix("."))
        else:
            fields.setdefault(name.strip(), value.strip())
    if fields.get("version") != "STSv1":
        problems.append("version must be STSv1")
    mode = fields.get("mode", "")
    if mode not in ("enforce", "testing", "none"):
        problems.append("mode must be enforce, testing or none")
    age = fields.get("max_age", "")
    seconds = int(age) if re.fullmatch(r"[0-9]{1,10}", age) else -1
    if not 0 <= seconds <= _MAX_AGE:
        problems.append(f"max_age must be 0 to {_MAX_AGE} seconds")
    if not mx and mode != "none":
        problems.append("it names no mx")
    return StsPolicy(mode, seconds, tuple(mx), tuple(problems))


def check_mta_sts(subject: Subject, facts: Facts) -> Finding:
    """Whether others are told to use TLS when they send to the domain, and whether they can."""
    name = f"_mta-sts.{subject.domain}"
    answer = facts.ask(Kind.TXT, name)
    if answer.unsure:
        return unread(Check.MTA_STS, name, answer)
    found = versioned(answer.values, "STSv1")
    if not found:
        text = "The domain does not ask others for TLS; it need not."
        return Finding(Check.MTA_STS, Verdict.NONE, "mta_sts_none", text)
    if len(found) > 1 or not _ID.fullmatch(parse_tags(found[0]).get("id")):
        text = f"{name} must hold one record, with an id of letters and digits."
        return Finding(Check.MTA_STS, Verdict.FAIL, "mta_sts_record", text, found)
    host = reach(f"mta-sts.{subject.domain}", facts)
    if isinstance(host, Answer):
        return unread(Check.MTA_STS, f"mta-sts.{subject.domain}", host)
    if not host:
        text = f"There is no mta-sts.{subject.domain} to read the policy from."
        return Finding(Check.MTA_STS, Verdict.FAIL, "mta_sts_policy_missing", text, found)
    policy = facts.ask(Kind.POLICY, subject.domain)
    if policy.unsure:
        return unread(Check.MTA_STS, f"The policy of {subject.domain}", policy)
    if policy.missing:
        text = f"The policy cannot be had by HTTPS: {policy.problem}."
        return Finding(Check.MTA_STS, Verdict.FAIL, "mta_sts_policy_missing", text, found)
    mail = facts.ask(Kind.MX, subject.domain)
    if mail.unsure:
        return unread(Check.MTA_STS, subject.domain, mail)
    read = parse_policy(policy.values[0])
    good = ("mta_sts_ok", f"Others send to {subject.domain} by TLS alone.")
    records = (*found, policy.values[0])
    return conclude(Check.MTA_STS, _policy_faults(read, mail), good, records)


def _policy_faults(policy: StsPolicy, mail: Answer) -> list[Fault]:
    if policy.problems:
        text = f"The policy cannot be read: {'; '.join(policy.problems)}."
        return [Fault(Verdict.FAIL, "mta_sts_policy", text)]
    if policy.mode == "none":
        text = "The policy's mode is none: it asks for nothing."
        return [Fault(Verdict.WARN, "mta_sts_off", text)]
    faults = []
    outside = [host for host in hosts_of(mail) if not policy.covers(host)]
    if outside:
        verdict = Verdict.FAIL if policy.mode == "enforce" else Verdict.WARN
        text = f"The policy does not name {', '.join(outside)}: others may not send there."
        faults.append(Fault(verdict, "mta_sts_mx", text))
    if policy.mode == "testing":
        text = "The policy's mode is testing: mail still goes without TLS."
        faults.append(Fault(Verdict.WARN, "mta_sts_testing", text))
    if policy.max_age < _SHORT_AGE:
        text = "max_age is under a day: whoever attacks needs to wait no longer."
        faults.append(Fault(Verdict.WARN, "mta_sts_short", text))
    return faults


def check_tls_rpt(subject: Subject, facts: Facts) -> Finding:
    """Whether others are told where to report that TLS failed."""
    name = f"_smtp._tls.{subject.domain}"
    answer = facts.ask(Kind.TXT, name)
    if answer.unsure:
        return unread(Check.TLS_RPT, name, answer)
    found = versioned(answer.values, "TLSRPTv1")
    if not found:
        text = "The domain does not ask for reports of failed TLS; it need not."
        return Finding(Check.TLS_RPT, Verdict.NONE, "tls_rpt_none", text)
    if len(found) > 1:
        text = f"{name} holds {len(found)} records; with more than one, none counts."
        return Finding(Check.TLS_RPT, Verdict.FAIL, "tls_rpt_multiple", text, found)
    uris = [uri.strip() for uri in parse_tags(found[0]).get("rua").split(",")]
    wrong = [uri for uri in uris if not _REPORT_URI.fullmatch(uri)]
    if wrong:
        text = f"rua= holds {wrong[0][:60]!r}; expected mailto: or https: addresses."
        return Finding(Check.TLS_RPT, Verdict.FAIL, "tls_rpt_address", text, found)
    text = "Others report when TLS fails."
    return Finding(Check.TLS_RPT, Verdict.PASS, "tls_rpt_ok", text, found)
