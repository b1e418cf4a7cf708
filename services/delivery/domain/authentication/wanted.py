"""The records that DNS must hold, ready to paste."""

from __future__ import annotations

from dataclasses import dataclass

from services.delivery.domain.authentication import spf
from services.delivery.domain.authentication.dmarc import Policy
from services.delivery.domain.authentication.facts import Facts, Kind
from services.delivery.domain.authentication.spf_check import missing_senders, walk_of
from services.delivery.domain.authentication.subject import SigningKey, Subject
from services.delivery.domain.authentication.verdict import Check, Finding, Verdict

_STRING = 255  # octets that one character string of a TXT record holds
_HELD = 5  # of many texts at one name, so many are shown
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
    """SPF for the domain of MAIL FROM, a record for each key that is known, and DMARC.

    What could not be read is left out: who pastes a record beside one that is there breaks both.
    """
    found = {finding.key: finding for finding in findings}
    made = [
        _spf(subject, found[Check.SPF, ""], facts),
        *(_dkim(key, found[Check.DKIM, key.name], facts) for key in subject.keys),
        _dmarc(subject, policy, found[Check.DMARC, ""]),
    ]
    return tuple(record for record in made if record is not None)


def _dkim(key: SigningKey, finding: Finding, facts: Facts) -> WantedRecord | None:
    answer = facts.ask(Kind.TXT, key.name)
    if answer.unsure or not key.public_key:
        return None
    value = f"v=DKIM1; k={key.algorithm}; p={key.public_key}"
    present = finding.verdict in _SOUND
    return WantedRecord(Check.DKIM, key.name, value, present, answer.values[:_HELD])


def _spf(subject: Subject, finding: Finding, facts: Facts) -> WantedRecord | None:
    """The record that is there, less what is wrong, with the senders it lacks; or a new one."""
    domain = subject.mail_from
    answer = facts.ask(Kind.TXT, domain)
    if answer.unsure:
        return None
    held = tuple(text for text in answer.values if spf.is_spf(text))
    if not held:
        fresh = " ".join(["v=spf1", *(subject.senders or ("a", "mx")), "~all"])
        return WantedRecord(Check.SPF, domain, fresh, present=False)
    text = _readable(held)
    walk = walk_of(domain, spf.parse(text), facts)
    missing = [] if walk.unsure else missing_senders(subject, walk)
    value = _with(text, missing)
    if "all" in walk.granted:
        value = _closed(value)
    present = value == held[0] and finding.verdict is not Verdict.FAIL
    return WantedRecord(Check.SPF, domain, value, present, held)


def _readable(held: tuple[str, ...]) -> str:
    """One record of all that are there, without the terms that cannot be read."""
    if len(held) == 1 and not spf.parse(held[0]).problems:
        return held[0]
    words = dict.fromkeys(
        word
        for text in held
        for word in text.split()[1:]
        if not spf.parse(f"v=spf1 {word}").problems
    )
    ends = [word for word in words if _ends(word)]
    end = ends[0] if len(held) == 1 and ends else "~all"
    return " ".join(["v=spf1", *(word for word in words if not _ends(word)), end])


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


def _dmarc(subject: Subject, policy: Policy, finding: Finding) -> WantedRecord | None:
    if policy.unsure is not None:
        return None
    if finding.verdict is not Verdict.FAIL:
        name = f"_dmarc.{policy.domain}"
        return WantedRecord(Check.DMARC, name, policy.records[0], True, policy.records)
    reports = f"; rua=mailto:{subject.reports}" if subject.reports else ""
    name = f"_dmarc.{subject.domain}"
    held = policy.records if policy.domain == subject.domain else ()
    return WantedRecord(Check.DMARC, name, f"v=DMARC1; p=none{reports}", False, held)
