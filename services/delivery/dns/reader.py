"""DNS by dnspython, within a deadline: what anybody may have put there becomes an Answer.

UDP first, TCP where the answer was cut off, the next server where one is silent or refuses.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.delivery.domain.authentication.facts import Answer, Kind, Question, Status

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.rdata import Rdata

# One server may take so many seconds for one try, and all of them together for one question.
TRY_SECONDS = 2.0
QUESTION_SECONDS = 5.0
# What fits through every path in one piece (DNS flag day 2020).
_PAYLOAD = 1232
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class DnsReader:
    """Asks `servers` (address and port), or those that the system names.

    dnspython is imported with the first question: it takes a quarter of a second, which is nothing
    that an installation without sending domains should wait for.
    """

    def __init__(
        self,
        servers: Sequence[tuple[str, int]] = (),
        *,
        try_seconds: float = TRY_SECONDS,
        question_seconds: float = QUESTION_SECONDS,
    ) -> None:
        self._servers = servers
        self._try = try_seconds
        self._question = question_seconds
        self._resolver: Resolver | None = None

    async def read(self, question: Question) -> Answer:
        """Answers everything that can come of it; raises nothing but CancelledError."""
        if self._resolver is None:
            self._resolver = await asyncio.to_thread(self._open)
        return await _ask(self._resolver, question)

    def _open(self) -> Resolver:
        from dns.asyncresolver import Resolver
        from dns.nameserver import Do53Nameserver
        from dns.resolver import NoResolverConfiguration

        try:
            resolver = Resolver(configure=not self._servers)
        except NoResolverConfiguration:
            resolver = Resolver(configure=False)  # then every question fails, and says so
        if self._servers:
            resolver.nameservers = [Do53Nameserver(host, port) for host, port in self._servers]
        resolver.timeout = self._try
        resolver.lifetime = self._question
        resolver.use_edns(0, payload=_PAYLOAD)
        return resolver


async def _ask(resolver: Resolver, question: Question) -> Answer:
    from dns.exception import DNSException, Timeout
    from dns.name import from_text
    from dns.resolver import NXDOMAIN
    from dns.reversename import from_address

    try:
        reverse = question.kind is Kind.PTR
        name = from_address(question.name) if reverse else from_text(question.name)
    except (DNSException, ValueError):  # UnicodeError is a ValueError
        return Answer(Status.ABSENT, problem="no name that DNS could hold")
    try:
        found = await resolver.resolve(
            name, question.kind.value, search=False, raise_on_no_answer=False
        )
    except NXDOMAIN:
        return Answer(Status.ABSENT)
    except Timeout:
        return Answer(Status.FAILED, problem="no DNS server answered in time")
    except (DNSException, OSError) as error:
        return Answer(Status.FAILED, problem=_told(error))
    values = sorted(_value(question.kind, rdata) for rdata in found.rrset or ())
    return Answer(Status.FOUND if values else Status.EMPTY, tuple(shown for _, shown in values))


def _value(kind: Kind, rdata: Rdata) -> tuple[int, str]:
    """How it is ordered, and as it is shown. Servers shuffle their answers."""
    from dns.name import root
    from dns.rdtypes.ANY.MX import MX
    from dns.rdtypes.ANY.TXT import TXT

    if isinstance(rdata, TXT):
        return 0, printable(b"".join(rdata.strings))
    if isinstance(rdata, MX):
        host = "" if rdata.exchange == root else _name(rdata.exchange.to_text())
        return rdata.preference, f"{rdata.preference} {host}"
    return 0, _name(rdata.to_text()) if kind is Kind.PTR else rdata.to_text()


def _name(text: str) -> str:
    return text.lower().removesuffix(".")


def printable(raw: bytes) -> str:
    """Text that people can be shown and databases can hold; other octets as \\xNN."""
    text = raw.decode("utf-8", "backslashreplace")
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _told(error: Exception) -> str:
    """What the servers said: SERVFAIL, REFUSED, or nothing that could be read."""
    codes = re.findall(r"\b(SERVFAIL|REFUSED|FORMERR|NOTIMP|YXDOMAIN)\b", str(error))
    if codes:
        return f"the DNS server answered {codes[0]}"
    return f"DNS failed ({type(error).__name__})"
