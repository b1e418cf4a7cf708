"""Names to addresses, within a deadline, and never on threads that anything else waits for."""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from libs.clock import Clock
from services.delivery.domain.addresses import Address, AddressPolicy

DEADLINE = 5.0
# An answer is believed for so many seconds; a name that moves is found again soon.
LIFETIME = 30.0
_CACHED = 10_000
_THREADS = 16

Lookup = Callable[[str, int], Sequence[str]]


class NameUnknownError(Exception):
    """The name has no address, or nobody answered in time."""


class AddressRefusedError(Exception):
    """The name has an address that webhooks do not go to; the text says which sort."""


def system_lookup(host: str, port: int) -> list[str]:
    """The addresses of a name by the system's resolver, in its order. Blocks; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """Resolves and checks. One refused address refuses the name: nobody needs such a mixture but
    who means to be checked at one address and connected to at another."""

    def __init__(self, policy: AddressPolicy, clock: Clock, lookup: Lookup = system_lookup) -> None:
        self._policy = policy
        self._clock = clock
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dns")
        self._known: OrderedDict[tuple[str, int], tuple[float, list[Address]]] = OrderedDict()

    async def resolve(self, host: str, port: int) -> Address:
        """An address of the name that may be connected to.

        Raises NameUnknownError, AddressRefusedError.
        """
        key = (host, port)
        known = self._known.get(key)
        if known is None or known[0] < self._clock.monotonic():
            addresses = await self._ask(host, port)
            self._check(host, addresses)
            known = (self._clock.monotonic() + LIFETIME, addresses)
            self._known[key] = known
            if len(self._known) > _CACHED:
                self._known.popitem(last=False)
        return known[1][0]

    def failed(self, host: str, port: int) -> None:
        """Nobody could be reached there: the name's next address is the first from now on."""
        known = self._known.get((host, port))
        if known is not None:
            known[1].append(known[1].pop(0))

    def close(self) -> None:
        """Lets the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, host: str, port: int) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DEADLINE):
                texts = await loop.run_in_executor(self._threads, self._lookup, host, port)
        except (OSError, UnicodeError) as error:  # a timeout is an OSError
            raise NameUnknownError(host) from error
        if not texts:
            raise NameUnknownError(host)
        return [ip_address(text) for text in texts]

    def _check(self, host: str, addresses: Sequence[Address]) -> None:
        for address in addresses:
            why = self._policy.refusal(address)
            if why is not None:
                raise AddressRefusedError(f"{host} is {address}: {why}")
