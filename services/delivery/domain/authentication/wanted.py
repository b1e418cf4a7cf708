"""The records that DNS must hold, ready to paste."""

from __future__ import annotations

from dataclasses import dataclass

from services.delivery.domain.authentication import spf
from services.delivery.domain.authentication.dmarc import Policy
from services.delivery.domain.authentication.facts import Facts, Kind
from services.delivery.domain.authentication.spf_check import missing_senders, walk_of
from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.verdict import Check, Finding, Verdict

_STRING = 255  # octets that one character string of a TXT record holds
_SOUND = (Verdict.PASS, Verdict.WARN)


@dataclass(frozen=True, slots=True)
class WantedRecord:
    """A text record. `held` is what is there now; `present` whether that will do."""

    check: Check
    name: str
    value: str
    present: bool
    held: tuple[str, ...] = ()

    @property
    def zone_line(self) -> str:
        """As a zone file has it: cut into strings of at most 255 octets."""
        text = self.value.replace("\\", "\\\\").replace('"', '\\"')
        parts = [text[at : at + _STRING] for at in range(0, len(text), _STRING)]
        quoted = " ".join(f'"{part}"' for part in parts)
        return f"{self.name}. IN TXT {quoted}"


def wanted_records(
    subject: Subject, policy: Policy, findings: list[Finding], facts: Facts
) -> tuple[WantedRecord, ...]:
    """SPF for the domain of MAIL FROM, a record for each key that is known, and DMARC."""
    found = {finding.key: finding for finding in findings}
    keys = [
        WantedRecord(
            Check.DKIM,
            key.name,
            f"v=DKIM1; k={key.algorithm}; p={key.public_key}",
            found[Check.DKIM, key.name].verdict in _SOUND,
            facts.ask(Kind.TXT, key.name).values,
        )
        for key in subject.keys
        if key.public_key
    ]
    return _spf(subject, facts), *keys, _dmarc(subject, policy, found[Check.DMARC, ""])


def _spf(subject: Subject, facts: Facts) -> WantedRecord:
    """The record that is there, with the senders put in that it lacks; else a new one."""
    domain = subject.mail_from
    answer = facts.ask(Kind.TXT, domain)
    held = tuple(text for text in answer.values if spf.is_spf(text))
    if not held:
        fresh = " ".join(["v=spf1", *(subject.senders or ("a", "mx")), "~all"])
        return WantedRecord(Check.SPF, domain, fresh, present=False)
    if len(held) > 1:
        return WantedRecord(Check.SPF, domain, _merged(held), False, held)
    record = spf.parse(held[0])
    walk = walk_of(domain, record, facts)
    missing = [] if walk.unsure else missing_senders(subject, walk)
    value = _with(held[0], missing)
    closed = value if "all" not in walk.granted else _closed(value)
    sound = closed == held[0] and not record.problems
    return WantedRecord(Check.SPF, domain, closed, sound, held)


def _with(text: str, senders: list[str]) -> str:
    """Senders before what ends the record, for nothing after it counts."""
    words = text.split()
    at = next(
        (place for place, word in enumerate(words) if _ends(word)),
        len(words),
    )
    return " ".join([*words[:at], *senders, *words[at:]]) if senders else text


def _ends(word: str) -> bool:
    return word.lower().lstrip("+-~?") == "all" or word.lower().startswith("redirect=")


def _closed(text: str) -> str:
    return " ".join("~all" if word.lower() in ("all", "+all") else word for word in text.split())


def _merged(held: tuple[str, ...]) -> str:
    """One record of several: all that any of them lets send, and the softest of the ends."""
    words = [word for text in held for word in text.split()[1:]]
    kept = dict.fromkeys(word for word in words if not _ends(word))
    return " ".join(["v=spf1", *kept, "~all"])


def _dmarc(subject: Subject, policy: Policy, finding: Finding) -> WantedRecord:
    if finding.verdict in _SOUND:
        name = f"_dmarc.{policy.domain}"
        return WantedRecord(Check.DMARC, name, policy.records[0], True, policy.records)
    reports = f"; rua=mailto:{subject.reports}" if subject.reports else ""
    name = f"_dmarc.{subject.domain}"
    held = policy.records if policy.domain == subject.domain else ()
    return WantedRecord(Check.DMARC, name, f"v=DMARC1; p=none{reports}", False, held)
