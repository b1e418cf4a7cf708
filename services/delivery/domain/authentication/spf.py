"""SPF records as text (RFC 7208, sections 3, 4.6 and 5); not what they lead to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError, ip_network

from services.delivery.domain.addresses import Network
from services.delivery.domain.authentication.names import is_name

_TERM = re.compile(r"([+\-~?]?)([A-Za-z][A-Za-z0-9_.-]*)(?:([:/=])(.*))?", re.DOTALL)
CIDR = re.compile(r"(?:/(\d{1,2}))?(?://(\d{1,3}))?")
_MACRO = re.compile(r"%(?:\{([slodiphcrtv])\d*r?[.\-+,/_=]*\}|%|_|-)", re.IGNORECASE)
# Records are short; one of 64 KiB wants our time and nothing else.
_MAX_TERMS = 500
_MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})
# Each of these makes whoever checks ask DNS (section 4.6.4); so does the modifier redirect.
COUNTED = frozenset({"include", "a", "mx", "ptr", "exists"})


@dataclass(frozen=True, slots=True)
class Term:
    """A mechanism. `target` is a domain, which may hold macros, or empty for the record's own."""

    qualifier: str
    name: str
    target: str = ""
    network: Network | None = None
    suffix: str = ""  # the prefix lengths of a and mx, as written

    def named(self, domain: str) -> str:
        """Its one spelling without the qualifier, in a record of `domain`."""
        if self.network is not None:
            return f"{self.name}:{self.network}"
        if self.name == "all":
            return "all"
        return f"{self.name}:{self.target or domain}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Record:
    """`problems` in words; each makes the whole record a permanent error at its readers."""

    text: str
    terms: tuple[Term, ...]
    redirect: str
    problems: tuple[str, ...]

    @property
    def end(self) -> str:
        """The qualifier of `all`; empty where there is none."""
        return next((term.qualifier for term in self.terms if term.name == "all"), "")


def is_spf(text: str) -> bool:
    """Whether a text record is an SPF record."""
    return re.match(r"v=spf1( |$)", text, re.IGNORECASE) is not None


def parse(text: str) -> Record:
    """Reads a record; what cannot be read is a problem and never an exception."""
    terms: list[Term] = []
    modifiers: dict[str, str] = {}
    problems: list[str] = []
    words = [word for word in text.split(" ")[1:] if word]
    if len(words) > _MAX_TERMS:
        problems.append(f"there are more than {_MAX_TERMS} terms")
    for word in words[:_MAX_TERMS]:
        read = _modifier(word) or parse_term(word)
        if isinstance(read, Term):
            terms.append(read)
        elif isinstance(read, tuple):
            name, value = read
            if name in modifiers and name in ("redirect", "exp"):
                problems.append(f"{name}= is there twice")
            if name == "redirect" and not _is_target(value):
                problems.append(f"{_short(word)!r} names no domain")
            modifiers[name] = value.lower().removesuffix(".")
        else:
            problems.append(read)
    return Record(text, tuple(terms), modifiers.get("redirect", ""), tuple(problems))


def parse_term(word: str) -> Term | str:
    """A mechanism such as "include:example.com", or why it is none."""
    match = _TERM.fullmatch(word)
    name = match[2].lower() if match else ""
    if match is None or name not in _MECHANISMS or match[3] == "=":
        return f"{_short(word)!r} is no mechanism of SPF"
    qualifier = match[1] or "+"
    rest = (match[3] or "") + (match[4] or "")
    if name == "all":
        return f"{_short(word)!r} must stand alone" if rest else Term(qualifier, name)
    if name in ("ip4", "ip6"):
        return _address(word, qualifier, name, match[4] or "", match[3])
    return _named(word, qualifier, name, rest)


def expand(target: str, domain: str) -> str | None:
    """The name that a target stands for in a record of `domain`; None where it is another for each
    mail. Only %{d} is the same for all."""
    name = re.sub(r"%\{d\}", domain, target, flags=re.IGNORECASE)
    return None if "%" in name else name.lower().removesuffix(".")


def _modifier(word: str) -> tuple[str, str] | None:
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)", word, re.DOTALL)
    return (match[1].lower(), match[2]) if match else None


def _address(word: str, qualifier: str, name: str, value: str, mark: str | None) -> Term | str:
    kind = IPv4Network if name == "ip4" else IPv6Network
    try:
        network = ip_network(value, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        network = None
    if mark != ":" or not isinstance(network, kind) or "%" in value:
        return f"{_short(word)!r} holds no IPv{name[2]} address or network"
    return Term(qualifier, name, network=network)


def _named(word: str, qualifier: str, name: str, rest: str) -> Term | str:
    target, suffix = (rest, "") if rest.startswith(":") else ("", rest)
    if name in ("a", "mx") and target:
        # Only a prefix length can follow the last slash; a macro may hold others.
        found = re.fullmatch(r"(:.*?)((?:/\d{1,2})?(?://\d{1,3})?)", target, re.DOTALL)
        target, suffix = (found[1], found[2]) if found else (target, "")
    target = target[1:]
    lengths = CIDR.fullmatch(suffix)
    if lengths is None or int(lengths[1] or 0) > 32 or int(lengths[2] or 0) > 128:
        return f"{_short(word)!r} has no valid prefix length"
    if suffix and name not in ("a", "mx"):
        return f"{_short(word)!r} takes no prefix length"
    wants_target = name in ("include", "exists") or rest.startswith(":")
    if wants_target and not _is_target(target):
        return f"{_short(word)!r} names no domain"
    return Term(qualifier, name, target.lower().removesuffix("."), suffix=suffix)


def _is_target(text: str) -> bool:
    plain = _MACRO.sub("x", text).lower().removesuffix(".")
    return "%" not in plain and "." in plain and is_name(plain)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
