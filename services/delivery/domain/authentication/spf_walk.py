"""What an SPF record leads to, followed to its end: who may send, and what it costs to find out.

A receiver stops at the first mechanism that matches; what is counted here is the worst case, for a
mail that none matches (RFC 7208, section 4.6.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from services.delivery.domain.addresses import Network
from services.delivery.domain.authentication import spf
from services.delivery.domain.authentication.facts import Answer, Facts, Kind
from services.delivery.domain.authentication.spf import Record, Term
from services.delivery.domain.authentication.verdict import Fault, Verdict

MAX_LOOKUPS = 10
MAX_VOIDS = 2
MAX_MX = 10
# Past this nothing more is read: the record is far beyond the limit.
_PATIENCE = 40


@dataclass
class Walk:
    """What is known after following a record."""

    facts: Facts
    lookups: int = 0
    voids: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)  # that pass
    granted: set[str] = field(default_factory=set)  # terms that pass, as Term.named spells them
    unsure: tuple[str, Answer] | None = None

    def record(self, domain: str, record: Record, path: tuple[str, ...], *, passing: bool) -> str:
        """Follows a record of `domain`; `path` is how it was reached, `domain` its last.

        Answers the qualifier of the `all` that it ends with; empty where there is none.
        """
        for problem in record.problems:
            self._fail("spf_syntax", f"In the record of {domain}, {problem}.")
        for term in record.terms:
            if self.lookups > _PATIENCE:
                return ""
            self._term(domain, term, path, passing=passing and term.qualifier == "+")
            if term.name == "all":
                return term.qualifier
        return self._redirect(domain, record.redirect, path, passing=passing)

    def _redirect(self, domain: str, redirect: str, path: tuple[str, ...], *, passing: bool) -> str:
        if not redirect:
            return ""
        self.lookups += 1
        target = spf.expand(redirect, domain)
        found = self._read(target, f"redirect={target}", path) if target is not None else None
        if target is None or found is None:
            return ""
        if passing:
            self.granted.add(f"include:{target}")  # it grants as much, and more
        return self.record(target, found, (*path, target), passing=passing)

    def _term(self, domain: str, term: Term, path: tuple[str, ...], *, passing: bool) -> None:
        if term.name in spf.COUNTED:
            self.lookups += 1
        if passing:
            self.granted.add(term.named(domain))
        if term.network is not None:
            self._grant([term.network], passing=passing)
        target = spf.expand(term.target, domain) if term.target else domain
        if target is None:
            return  # another name for each mail
        if term.name == "include":
            found = self._read(target, f"include:{target}", path)
            if found is not None:
                self.record(target, found, (*path, target), passing=passing)
        elif term.name == "a":
            self._grant(self._addresses(target, term.suffix, void=True), passing=passing)
        elif term.name == "mx":
            self._grant(self._exchangers(target, term.suffix), passing=passing)
        elif term.name == "exists":
            self._note(f"exists:{target}", target, self.facts.ask(Kind.A, target))
        elif term.name == "ptr":
            self._warn("spf_ptr", f"The record of {domain} uses ptr, which receivers may skip.")

    def _read(self, target: str, how: str, path: tuple[str, ...]) -> Record | None:
        """The one SPF record of a name that another record leads to."""
        if target in path:
            self._fail("spf_loop", f"{how} leads back to where it came from.")
            return None
        answer = self.facts.ask(Kind.TXT, target)
        self._note(how, target, answer)
        if answer.unsure:
            return None
        found = [text for text in answer.values if spf.is_spf(text)]
        if len(found) != 1:
            what = "no SPF record" if not found else f"{len(found)} SPF records"
            self._fail("spf_include_broken", f"{how} leads to {what}.")
            return None
        return spf.parse(found[0])

    def _exchangers(self, target: str, suffix: str) -> list[Network]:
        answer = self.facts.ask(Kind.MX, target)
        self._note(f"mx:{target}", target, answer)
        hosts = [value.partition(" ")[2] for value in answer.values]
        if len(hosts) > MAX_MX:
            self._fail("spf_mx_too_many", f"mx:{target} has more than {MAX_MX} mail servers.")
        found: list[Network] = []
        for host in filter(None, hosts[:MAX_MX]):
            found += self._addresses(host, suffix, void=False)
        return found

    def _addresses(self, name: str, suffix: str, *, void: bool) -> list[Network]:
        four, six = self.facts.ask(Kind.A, name), self.facts.ask(Kind.AAAA, name)
        for answer in (four, six):
            if answer.unsure:
                self.unsure = self.unsure or (name, answer)
        if void and four.missing and six.missing:
            self.voids.append(name)
        lengths = spf.CIDR.fullmatch(suffix)
        four_bits, six_bits = (lengths[1], lengths[2]) if lengths else (None, None)
        found = [_network(text, four_bits, six_bits) for text in (*four.values, *six.values)]
        return [network for network in found if network is not None]

    def _grant(self, networks: list[Network], *, passing: bool) -> None:
        if passing:
            self.networks += networks

    def _note(self, how: str, name: str, answer: Answer) -> None:
        if answer.unsure:
            self.unsure = self.unsure or (name, answer)
        elif answer.missing:
            self.voids.append(how)

    def _fail(self, code: str, text: str) -> None:
        self.faults.append(Fault(Verdict.FAIL, code, text))

    def _warn(self, code: str, text: str) -> None:
        self.faults.append(Fault(Verdict.WARN, code, text))


def _network(text: str, four_bits: str | None, six_bits: str | None) -> Network | None:
    try:
        bits = four_bits if ip_address(text).version == 4 else six_bits
        return ip_network(f"{text}/{bits}" if bits else text, strict=False)
    except ValueError:
        return None
