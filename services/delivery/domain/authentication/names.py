"""Domain names: their one spelling, and how two of them are related."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from libs.errors import invalid

# The organisational domain of a name, by the public suffix list: "example.co.uk" of
# "mail.example.co.uk". Of a public suffix it is the name itself.
Organization = Callable[[str], str]

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
MAX_NAME = 253


class Alignment(Enum):
    """How closely a proven domain must resemble the one that people see (RFC 7489, 3.1)."""

    RELAXED = "relaxed"
    STRICT = "strict"


def is_name(text: str) -> bool:
    """Whether DNS could hold it, in lower case."""
    return len(text) <= MAX_NAME and all(_LABEL.fullmatch(label) for label in text.split("."))


def check_domain(text: str, field: str) -> str:
    """A domain to send from, in lower case. Raises AppError (INVALID) naming `field`."""
    name = text.strip().lower().removesuffix(".")
    if not name.isascii():
        raise invalid(field, "expected the domain in its ASCII form (xn--…)", "domain_name")
    if not is_name(name) or "." not in name or name.rpartition(".")[2].isdigit():
        raise invalid(field, f"{text[:60]!r} is not a domain, such as example.com", "domain_name")
    return name


def aligned(domain: str, shown: str, mode: Alignment, organization: Organization) -> bool:
    """Whether mail proven to be from `domain` may show `shown` as its sender."""
    if mode is Alignment.STRICT:
        return domain == shown
    return organization(domain) == organization(shown)
