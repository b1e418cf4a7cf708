"""What is to be checked: a domain that we send from, and what it is meant to hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.errors import AppError, Violation, invalid, invalid_all
from services.delivery.domain.authentication import spf
from services.delivery.domain.authentication.keys import BadKeyError, read_key
from services.delivery.domain.authentication.names import check_domain, is_name

MAX_KEYS = 10
MAX_SENDERS = 20
_MAX_KEY_TEXT = 4000
_REPORTS = re.compile(r"[A-Za-z0-9.!#$&'*+/=?^_{|}~-]{1,64}@([A-Za-z0-9.-]{1,253})")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs our mail, found at `name`. `public_key` is base64 as in p=,
    or empty where any valid key is right."""

    selector: str
    domain: str
    public_key: str = ""
    algorithm: str = "rsa"

    @property
    def name(self) -> str:
        """Where DNS holds it."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class Subject:
    """`domain` is what people see in From; `envelope` that of MAIL FROM, which SPF is about.
    `senders` are SPF terms for who sends for us; `reports` the address for DMARC's reports."""

    domain: str
    envelope: str = ""
    senders: tuple[str, ...] = ()
    keys: tuple[SigningKey, ...] = ()
    reports: str = ""

    @property
    def mail_from(self) -> str:
        """The domain of MAIL FROM."""
        return self.envelope or self.domain


def with_own_keys(subject: Subject, own: Sequence[SigningKey]) -> Subject:
    """With the keys that this installation signs with for the domain: they are what counts, whether
    they were named or not."""
    keys = {key.name: key for key in subject.keys}
    keys.update((key.name, key) for key in own if key.domain == subject.domain)
    return replace(subject, keys=tuple(keys.values()))


def check_subject(asked: Subject) -> Subject:
    """The same in its one spelling. Raises AppError (INVALID) naming every field at fault."""
    faults: list[Violation] = []
    domain = _domain(asked.domain, "domain.domain_name", faults)
    envelope = _domain(asked.envelope, "domain.envelope_domain", faults) if asked.envelope else ""
    senders = _senders(asked.senders, faults)
    if len(asked.keys) > MAX_KEYS:
        faults.append(_fault("domain.dkim_keys", f"expected at most {MAX_KEYS}"))
    keys = tuple(
        _key(key, domain, f"domain.dkim_keys[{at}]", faults)
        for at, key in enumerate(asked.keys[:MAX_KEYS])
    )
    if len({key.name for key in keys}) < len(keys):
        faults.append(_fault("domain.dkim_keys", "expected each selector once"))
    if asked.reports and not _is_address(asked.reports):
        faults.append(_fault("domain.report_address", "expected an e-mail address"))
    if faults:
        raise invalid_all(faults)
    return replace(asked, domain=domain, envelope=envelope, senders=senders, keys=keys)


def _domain(text: str, field: str, faults: list[Violation]) -> str:
    try:
        return check_domain(text, field)
    except AppError as error:
        faults += error.violations
        return text


def _senders(words: Sequence[str], faults: list[Violation]) -> tuple[str, ...]:
    if len(words) > MAX_SENDERS:
        faults.append(_fault("domain.spf_senders", f"expected at most {MAX_SENDERS}"))
    kept = []
    for at, word in enumerate(words[:MAX_SENDERS]):
        read = spf.parse_term(word.strip())
        if isinstance(read, str):
            faults.append(_fault(f"domain.spf_senders[{at}]", read))
        elif read.qualifier != "+" or read.name in ("all", "ptr", "exists"):
            wanted = "expected include:, ip4:, ip6:, a or mx, without a qualifier"
            faults.append(_fault(f"domain.spf_senders[{at}]", wanted))
        else:
            kept.append(word.strip().removeprefix("+").lower())
    return tuple(kept)


def _key(key: SigningKey, domain: str, field: str, faults: list[Violation]) -> SigningKey:
    selector = key.selector.strip().lower()
    if not is_name(selector) or len(selector) > 100:
        faults.append(_fault(f"{field}.selector", "expected a selector, such as pq1"))
    signs = _domain(key.domain, f"{field}.domain_name", faults) if key.domain else domain
    if not key.public_key.strip():
        return SigningKey(selector, signs)
    try:
        read = read_key(key.public_key[:_MAX_KEY_TEXT])
    except BadKeyError as error:
        text = f"expected PEM, base64 or a DKIM record; this {error}"
        faults.append(_fault(f"{field}.public_key", text))
        return SigningKey(selector, signs)
    return SigningKey(selector, signs, read.text, read.algorithm)


def _is_address(text: str) -> bool:
    match = _REPORTS.fullmatch(text)
    return match is not None and is_name(match[1].lower()) and "." in match[1]


def _fault(field: str, description: str) -> Violation:
    error = invalid(field, description)
    return error.violations[0]
