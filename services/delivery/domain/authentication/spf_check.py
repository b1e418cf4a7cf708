"""The verdict on SPF."""

from __future__ import annotations

from services.delivery.domain.authentication import spf
from services.delivery.domain.authentication.facts import Facts, Kind
from services.delivery.domain.authentication.spf import Record
from services.delivery.domain.authentication.spf_walk import MAX_LOOKUPS, MAX_VOIDS, Walk
from services.delivery.domain.authentication.subject import Subject
from services.delivery.domain.authentication.verdict import (
    Check,
    Fault,
    Finding,
    Verdict,
    conclude,
    unread,
)

# A network wider than this holds a large share of all addresses: nobody sends from there.
_WIDEST = {4: 8, 6: 20}


def check_spf(subject: Subject, facts: Facts) -> Finding:
    """Whether the domain of MAIL FROM says that those who send for us may."""
    domain = subject.mail_from
    answer = facts.ask(Kind.TXT, domain)
    if answer.unsure:
        return unread(Check.SPF, domain, answer)
    found = tuple(text for text in answer.values if spf.is_spf(text))
    if not found:
        text = f"{domain} has no SPF record."
        return Finding(Check.SPF, Verdict.FAIL, "spf_missing", text)
    if len(found) > 1:
        text = f"{domain} has {len(found)} SPF records; with more than one, none counts."
        return Finding(Check.SPF, Verdict.FAIL, "spf_multiple", text, found)
    record = spf.parse(found[0])
    walk = Walk(facts)
    end = walk.record(domain, record, (domain,), passing=True)
    faults = [*walk.faults, *_limits(walk), *_openness(walk, end)]
    if walk.unsure is not None:
        # A sender may be in what could not be read; what is wrong already stays wrong.
        name, failed = walk.unsure
        sure = any(fault.verdict is Verdict.FAIL for fault in faults)
        return (
            conclude(Check.SPF, faults, ("", ""), found)
            if sure
            else unread(Check.SPF, name, failed)
        )
    faults += [
        Fault(Verdict.FAIL, "spf_sender_missing", f"The record does not let {sender} send.")
        for sender in missing_senders(subject, walk)
    ]
    cost = f"checking it takes {walk.lookups} of {MAX_LOOKUPS} lookups"
    good = f"{domain} lets our senders send; {cost}."
    return conclude(Check.SPF, faults, ("spf_ok", good), found)


def missing_senders(subject: Subject, walk: Walk) -> list[str]:
    """The terms that are wanted and that nothing in the record covers."""
    return [word for word in subject.senders if not _covered(word, subject.mail_from, walk)]


def walk_of(domain: str, record: Record, facts: Facts) -> Walk:
    """What a record leads to."""
    walk = Walk(facts)
    walk.record(domain, record, (domain,), passing=True)
    return walk


def _covered(word: str, domain: str, walk: Walk) -> bool:
    term = spf.parse_term(word)
    if isinstance(term, str) or term.named(domain) in walk.granted:
        return not isinstance(term, str)
    wanted = term.network
    return wanted is not None and any(
        wanted.version == network.version and wanted.subnet_of(network)  # type: ignore[arg-type]
        for network in walk.networks
    )


def _limits(walk: Walk) -> list[Fault]:
    faults = []
    if walk.lookups > MAX_LOOKUPS:
        text = f"Checking it takes {walk.lookups} lookups; more than {MAX_LOOKUPS} is an error."
        faults.append(Fault(Verdict.FAIL, "spf_too_many_lookups", text))
    elif walk.lookups == MAX_LOOKUPS:
        text = f"It takes all {MAX_LOOKUPS} lookups: one more at a provider of yours breaks it."
        faults.append(Fault(Verdict.WARN, "spf_at_lookup_limit", text))
    if len(walk.voids) > MAX_VOIDS:
        text = f"{len(walk.voids)} lookups find nothing ({', '.join(walk.voids[:5])}); "
        text += f"receivers give up after {MAX_VOIDS}."
        faults.append(Fault(Verdict.FAIL, "spf_too_many_voids", text))
    elif walk.voids:
        text = f"There is nothing at {', '.join(walk.voids)}."
        faults.append(Fault(Verdict.WARN, "spf_void_lookup", text))
    return faults


def _openness(walk: Walk, end: str) -> list[Fault]:
    faults = []
    if "all" in walk.granted:
        faults.append(Fault(Verdict.FAIL, "spf_open", "It lets everybody send (+all)."))
    wide = [network for network in walk.networks if network.prefixlen < _WIDEST[network.version]]
    if wide:
        text = f"It lets {wide[0]} send: that is much of the internet."
        faults.append(Fault(Verdict.FAIL, "spf_open", text))
    if end in ("", "?"):
        text = "It does not end in ~all or -all, and so says nothing of all others."
        faults.append(Fault(Verdict.WARN, "spf_neutral", text))
    return faults
