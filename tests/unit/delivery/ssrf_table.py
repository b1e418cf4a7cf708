"""What must not be connected to: every block of the registries of RFC 6890, and every way that we
know of to write, or wrap, an address so that it looks like something else."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


def _words(text: str) -> list[str]:
    return text.split()


# IANA's special-purpose and multicast registries, by the document that each block is from.
BLOCKS_V4 = {
    "0.0.0.0/8": "RFC 791, this network",
    "10.0.0.0/8": "RFC 1918, private",
    "100.64.0.0/10": "RFC 6598, shared by a carrier",
    "127.0.0.0/8": "RFC 1122, loopback",
    "169.254.0.0/16": "RFC 3927, link-local",
    "172.16.0.0/12": "RFC 1918, private",
    "192.0.0.0/29": "RFC 7335, DS-Lite",
    "192.0.0.8/32": "RFC 7600, dummy",
    "192.0.0.9/32": "RFC 7723, port control",
    "192.0.0.10/32": "RFC 8155, TURN",
    "192.0.0.170/31": "RFC 7050, NAT64 discovery",
    "192.0.0.0/24": "RFC 6890, protocols",
    "192.0.2.0/24": "RFC 5737, documentation",
    "192.31.196.0/24": "RFC 7535, AS112",
    "192.52.193.0/24": "RFC 7450, AMT",
    "192.88.99.0/24": "RFC 7526, 6to4 relay",
    "192.168.0.0/16": "RFC 1918, private",
    "192.175.48.0/24": "RFC 7534, AS112",
    "198.18.0.0/15": "RFC 2544, benchmarking",
    "198.51.100.0/24": "RFC 5737, documentation",
    "203.0.113.0/24": "RFC 5737, documentation",
    "224.0.0.0/4": "RFC 5771, multicast",
    "240.0.0.0/4": "RFC 1112, reserved",
    "255.255.255.255/32": "RFC 8190, broadcast",
    "168.63.129.16/32": "Azure's wire server",
    "100.100.100.200/32": "Alibaba's metadata",
}
BLOCKS_V6 = {
    "::/128": "RFC 4291, unspecified",
    "::1/128": "RFC 4291, loopback",
    "::/96": "RFC 4291, compatible",
    "::ffff:0:0/96": "RFC 4291, mapped",
    "::ffff:0:0:0/96": "RFC 2765, translated",
    "64:ff9b::/96": "RFC 6052, NAT64",
    "64:ff9b:1::/48": "RFC 8215, NAT64, local",
    "100::/64": "RFC 6666, discard",
    "100:0:0:1::/64": "RFC 9780, dummy",
    "2001::/23": "RFC 2928, protocols",
    "2001::/32": "RFC 4380, Teredo",
    "2001:1::1/128": "RFC 7723, port control",
    "2001:1::2/128": "RFC 8155, TURN",
    "2001:2::/48": "RFC 5180, benchmarking",
    "2001:3::/32": "RFC 7450, AMT",
    "2001:4:112::/48": "RFC 7535, AS112",
    "2001:10::/28": "RFC 4843, ORCHID",
    "2001:20::/28": "RFC 7343, ORCHIDv2",
    "2001:30::/28": "RFC 9374, DRIP",
    "2001:db8::/32": "RFC 3849, documentation",
    "2002::/16": "RFC 3056, 6to4",
    "2620:4f:8000::/48": "RFC 7534, AS112",
    "3fff::/20": "RFC 9637, documentation",
    "4000::/2": "RFC 4291, not given out",
    "5f00::/16": "RFC 9602, segment routing",
    "8000::/2": "RFC 4291, not given out",
    "fc00::/7": "RFC 4193, private",
    "fd00:ec2::254/128": "Amazon's metadata",
    "fe80::/10": "RFC 4291, link-local",
    "fec0::/10": "RFC 3879, site-local",
    "ff00::/8": "RFC 4291, multicast",
}
# The first address on either side of a block, which nothing refuses.
NEIGHBOURS = _words("""
1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15
168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0
192.0.3.0 192.31.195.255 192.31.197.0 192.52.192.255 192.52.194.0 192.88.98.255 192.88.100.0
192.167.255.255 192.169.0.0 192.175.47.255 192.175.49.0 198.17.255.255 198.20.0.0 198.51.99.255
198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
2000:: 2001:200:: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9:: 2003::
2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2620:4f:7fff:ffff:ffff:ffff:ffff:ffff 2620:4f:8001::
3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000:: 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
2a00:1450:4001:81b:0:5eff:808:808 2606:4700:4700::1111
""")


def edges() -> list[str]:
    """The first and the last address of each block."""
    blocks = [*map(IPv4Network, BLOCKS_V4), *map(IPv6Network, BLOCKS_V6)]
    found = {str(block[at]) for block in blocks for at in (0, -1)}
    return sorted(found)


def wrapped(inner: str) -> dict[str, str]:
    """How IPv6 carries an IPv4 address, by the way's name."""
    value = int(IPv4Address(inner))
    high, low = value >> 16, value & 0xFFFF
    turned = value ^ 0xFFFF_FFFF
    texts = {
        "compatible": f"::{high:x}:{low:x}",
        "mapped": f"::ffff:{high:x}:{low:x}",
        "mapped, dotted": f"::ffff:{inner}",
        "translated": f"::ffff:0:{high:x}:{low:x}",
        "NAT64": f"64:ff9b::{high:x}:{low:x}",
        "NAT64, dotted": f"64:ff9b::{inner}",
        "NAT64, local": f"64:ff9b:1::{high:x}:{low:x}",
        "6to4": f"2002:{high:x}:{low:x}::1",
        "Teredo, client": f"2001:0:4136:e378:8000:63bf:{turned >> 16:x}:{turned & 0xFFFF:x}",
        "Teredo, server": f"2001:0:{high:x}:{low:x}:8000:63bf:3fff:fdd2",
        "ISATAP": f"2a00:1450:4001:81b:0:5efe:{high:x}:{low:x}",
        "ISATAP, global": f"2a00:1450:4001:81b:200:5efe:{high:x}:{low:x}",
        "ISATAP, link-local": f"fe80::5efe:{high:x}:{low:x}",
    }
    assert all(IPv6Address(text) for text in texts.values())
    return texts


def spellings(address: str) -> dict[str, str]:
    """Ways of writing an IPv4 address in a URL that one parser or another takes for it."""
    a, b, c, d = map(int, address.split("."))
    value = int(IPv4Address(address))
    full = str.maketrans("0123456789.", "０１２３４５６７８９．")  # noqa: RUF001 # fullwidth
    circled = str.maketrans("123456789", "①②③④⑤⑥⑦⑧⑨")
    return {
        "plain": address,
        "decimal": str(value),
        "hex": f"{value:#x}",
        "hex, upper case": f"0X{value:X}",
        "octal": f"0{value:o}",
        "dotted hex": f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        "dotted octal": f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        "one octal": f"0{a:o}.{b}.{c}.{d}",
        "padded": f"{a:03}.{b:03}.{c:03}.{d:03}",
        "two parts": f"{a}.{value & 0xFFFFFF}",
        "three parts": f"{a}.{b}.{value & 0xFFFF}",
        "overflow": f"{a + 256}.{b}.{c}.{d}",
        "wrapped around": str(value + (1 << 32)),
        "trailing dot": f"{address}.",
        "hex and a dot": f"{value:#x}.",
        "fullwidth": address.translate(full),
        "fullwidth dots": address.replace(".", "．"),  # noqa: RUF001
        "ideographic dots": address.replace(".", "。"),
        "halfwidth dots": address.replace(".", "｡"),
        "circled": address.translate(circled),
        "escaped": "".join(f"%{ord(letter):02x}" for letter in address),
        "escaped dots": address.replace(".", "%2e"),
        "soft hyphen": f"{address[:1]}\xad{address[1:]}",
        "zero width": f"{address}\u200b",
        "user name": f"example.com@{address}",
        "user and password": f"a:b@{address}",
        "backslash": f"example.com\\@{address}",
        "fragment": f"{address}#@example.com",
        "tab": f"{address[:3]}\t{address[3:]}",
        "newline": f"{address}\n",
        "mapped": f"[::ffff:{address}]",
        "compatible": f"[::{address}]",
        "NAT64": f"[64:ff9b::{address}]",
        "brackets": f"[{address}]",
        "zone": f"[::ffff:{address}%25eth0]",
        "port 22": f"{address}:22",
    }
