"""An authoritative DNS server on loopback, as badly behaved as a test asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

# What a name does instead of answering.
SERVFAIL, REFUSED, SILENT, CUT, RUBBISH = "SERVFAIL", "REFUSED", "SILENT", "CUT", "RUBBISH"
Zone = Mapping[str, Sequence[str] | str]


class NameServer:
    """Serves `zone`: {"example.com TXT": ['"v=spf1 -all"'], "broken.test": SERVFAIL}.

    Values are as in a zone file. A name that is nowhere in the zone does not exist; "*.name" stands
    for all below it. CUT: over UDP only the flag says that there is more; TCP has it all. An answer
    longer than the asker's payload is cut off as well.
    """

    def __init__(self, zone: Zone | None = None) -> None:
        self.zone: dict[str, Sequence[str] | str] = dict(zone or {})
        self.asked: list[tuple[str, str, str]] = []  # protocol, name, type
        self.host = "127.0.0.1"
        self.port = 0

    async def __aenter__(self) -> NameServer:
        loop = asyncio.get_running_loop()
        self._tcp = await asyncio.start_server(self._stream, self.host, 0)
        self.port = self._tcp.sockets[0].getsockname()[1]
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(self.host, self.port)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def answer(self, wire: bytes, protocol: str) -> bytes | None:
        """What is sent back; None for nothing."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((protocol, name, kind))
        deed = self.zone.get(name, "")
        if deed == SILENT:
            return None
        if deed == RUBBISH:
            return wire[:2] + b"\xff" * 20
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if deed in (SERVFAIL, REFUSED):
            response.set_rcode(dns.rcode.from_text(str(deed)))
        elif deed == CUT and protocol == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, question.name, name, kind)
        limit = query.payload or 512
        return _cut(response, limit) if protocol == "udp" else response.to_wire(max_size=65535)

    def _fill(self, response: dns.message.Message, owner: dns.name.Name, name: str, kind: str):
        values = self._held(name, kind)
        alias = self._held(name, "CNAME")
        if alias:
            _add(response, owner, "CNAME", alias)
            target = alias[0].rstrip(".")
            owner, values = dns.name.from_text(target), self._held(target, kind)
            name = target
        if values:
            _add(response, owner, kind, values)
        elif not self._exists(name):
            response.set_rcode(dns.rcode.NXDOMAIN)

    def _held(self, name: str, kind: str) -> Sequence[str]:
        for owner in (name, "*." + name.partition(".")[2]):
            if f"{owner} {kind}" in self.zone:
                return self.zone[f"{owner} {kind}"]
        return []

    def _exists(self, name: str) -> bool:
        owners = [key.partition(" ")[0] for key in self.zone]
        return any(owner == name or owner.endswith("." + name) for owner in owners)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            size = int.from_bytes(await reader.readexactly(2), "big")
            wire = self.answer(await reader.readexactly(size), "tcp")
            if wire is not None:
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, peer) -> None:
        wire = self._server.answer(data, "udp")
        if wire is not None:
            self._transport.sendto(wire, peer)


def _add(response, owner, kind, values) -> None:
    type_ = dns.rdatatype.from_text(kind)
    rrset = dns.rrset.RRset(owner, dns.rdataclass.IN, type_)
    for value in values:
        rrset.add(dns.rdata.from_text(dns.rdataclass.IN, type_, value), ttl=1)
    response.answer.append(rrset)


def _cut(response: dns.message.Message, limit: int) -> bytes:
    wire = response.to_wire(max_size=65535)
    if len(wire) <= limit:
        return wire
    response.answer.clear()
    response.flags |= dns.flags.TC
    return response.to_wire()
