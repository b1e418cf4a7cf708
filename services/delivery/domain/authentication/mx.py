"""Whether replies and bounces can come back (RFC 5321, section 5; RFC 7505), and reverse DNS."""

from __future__ import annotations

from ipaddress import ip_address

from services.delivery.domain.authentication import spf
from services.delivery.domain.authentication.facts import Answer, Facts, Kind
from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.verdict import (
    Check,
    Fault,
    Finding,
    Verdict,
    conclude,
    unread,
)

_LOOKED_AT = 10


def check_mx(subject: Subject, facts: Facts) -> list[Finding]:
    """For the domain of From, and for that of MAIL FROM where it is another."""
    shown = _check(subject.domain, facts, null=Verdict.WARN)
    if subject.mail_from == subject.domain:
        return [shown]
    return [shown, _check(subject.mail_from, facts, null=Verdict.FAIL)]


def hosts_of(answer: Answer) -> tuple[str, ...]:
    """The mail servers that an MX answer names; the null MX names none."""
    return tuple(host for value in answer.values if (host := value.partition(" ")[2]))


def _check(domain: str, facts: Facts, *, null: Verdict) -> Finding:
    answer = facts.ask(Kind.MX, domain)
    if answer.unsure:
        return unread(Check.MX, domain, answer, domain)
    if answer.missing:
        return _without(domain, facts)
    hosts = hosts_of(answer)
    if not hosts:
        text = f"{domain} says that it takes no mail (null MX): what is sent back is lost."
        return Finding(Check.MX, null, "mx_null", text, answer.values, domain)
    faults = []
    if len(hosts) < len(answer.values):
        text = f"{domain} has a null MX beside others: senders may take it for closed."
        faults.append(Fault(Verdict.FAIL, "mx_null_mixed", text))
    unsure = None
    dead = []
    for host in hosts[:_LOOKED_AT]:
        held = reach(host, facts)
        if isinstance(held, Answer):
            unsure = unsure or (host, held)
        elif not held:
            dead.append(host)
    if dead:
        verdict = Verdict.FAIL if len(dead) == len(hosts) else Verdict.WARN
        text = f"No mail server can be reached by the name {', '.join(dead)}."
        faults.append(Fault(verdict, "mx_dangling", text))
    if unsure is not None and not faults:
        return unread(Check.MX, *unsure, domain)
    return conclude(Check.MX, faults, ("mx_ok", f"{domain} takes mail."), answer.values, domain)


def _without(domain: str, facts: Facts) -> Finding:
    held = reach(domain, facts)
    if isinstance(held, Answer):
        return unread(Check.MX, domain, held, domain)
    if held:
        text = f"{domain} has no MX; its address is taken for one, which many do not rely on."
        return Finding(Check.MX, Verdict.WARN, "mx_implicit", text, (), domain)
    text = f"{domain} has neither MX nor address: many refuse mail that cannot be answered."
    return Finding(Check.MX, Verdict.FAIL, "mx_missing", text, (), domain)


def reach(host: str, facts: Facts) -> bool | Answer:
    """Whether a name has an address; the answer that failed, where nobody could say."""
    answers = [facts.ask(kind, host) for kind in (Kind.A, Kind.AAAA)]
    if any(answer.values for answer in answers):
        return True
    return next((answer for answer in answers if answer.unsure), False)


def check_reverse(subject: Subject, facts: Facts) -> list[Finding]:
    """Each address that sends for us must have a name that leads back to it. Only single addresses
    are looked at: those of a provider are its own business."""
    addresses = [text for word in subject.senders if (text := _single(word)) is not None]
    if not addresses:
        text = "No single address is named among the senders; a provider's are its own business."
        return [Finding(Check.REVERSE_DNS, Verdict.NONE, "rdns_provider", text)]
    return [_reverse(address, facts) for address in addresses]


def _single(word: str) -> str | None:
    term = spf.parse_term(word)
    if isinstance(term, str) or term.network is None or term.network.num_addresses != 1:
        return None
    return str(term.network.network_address)


def _reverse(address: str, facts: Facts) -> Finding:
    answer = facts.ask(Kind.PTR, address)
    if answer.unsure:
        return unread(Check.REVERSE_DNS, address, answer, address)
    kind = Kind.A if ip_address(address).version == 4 else Kind.AAAA
    unsure = None
    for name in answer.values[:_LOOKED_AT]:
        forward = facts.ask(kind, name)
        if address in forward.values:
            text = f"{address} is {name}, and {name} is {address}."
            return Finding(Check.REVERSE_DNS, Verdict.PASS, "rdns_ok", text, answer.values, address)
        if forward.unsure:
            unsure = unsure or (name, forward)
    if unsure is not None:
        return unread(Check.REVERSE_DNS, *unsure, address)
    code = "rdns_mismatch" if answer.values else "rdns_missing"
    what = "a name that does not lead back to it" if answer.values else "no name"
    text = f"{address} has {what}: many receivers refuse it."
    return Finding(Check.REVERSE_DNS, Verdict.FAIL, code, text, answer.values, address)
