"""Which addresses a webhook may go to: global unicast alone, unless an operator opens more.

The table is ours and not `ipaddress.is_global`, whose answers differ between versions of Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# The registries that RFC 6890 founded, less what is ordinary; some rows say why they are refused
# although the registry calls them reachable: nobody receives webhooks there.
_REFUSED_V4 = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a carrier",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's own service",  # Azure's, although the address is public
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved for protocols",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "multicast tunnels",
    "192.88.99.0/24": "a 6to4 relay",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
_REFUSED_V6 = {
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::/96": "an IPv4 address in IPv6 form",
    "::ffff:0:0/96": "an IPv4 address in IPv6 form",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "100::/64": "discard-only",
    "2001::/32": "Teredo",
    "2001::/23": "reserved for protocols",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_TABLE: dict[int, list[tuple[Network, str]]] = {
    4: [(IPv4Network(text), why) for text, why in _REFUSED_V4.items()],
    6: [(IPv6Network(text), why) for text, why in _REFUSED_V6.items()],
}
# All that IANA has given out as global unicast so far.
_GLOBAL_V6 = IPv6Network("2000::/3")
# ISATAP (RFC 5214 §6.1) hides an IPv4 address behind any prefix; its interface ids begin so.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Says whether an address may be connected to. `allowed` networks are open all the same."""

    allowed: tuple[Network, ...] = ()

    def refusal(self, address: Address) -> str | None:
        """Why it may not be connected to, such as "loopback"; None where it may."""
        if any(address.version == net.version and address in net for net in self.allowed):
            return None
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return "link-local"
        for network, why in _TABLE[address.version]:
            if address in network:
                return why
        if isinstance(address, IPv6Address):
            if address not in _GLOBAL_V6:
                return "reserved"
            if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
                return "ISATAP"
        return None


def parse_networks(parts: Iterable[str]) -> tuple[Network, ...]:
    """Networks such as "127.0.0.0/8". Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in parts if part.strip())
