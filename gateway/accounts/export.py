"""Everything that an account has, as one JSON document, read through the Lists it may call.

Which those are follows from the contract: whatever a service lists for accounts alone is theirs, so
that no room can be forgotten here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from google.protobuf.message import Message

from gateway.http.auth import Identity
from gateway.http.backends import Backend, Backends, Context
from gateway.transcode.descriptors import Contract, Rpc, descriptor_of, kind_of_message
from gateway.transcode.write import Write, Writers
from libs.auth import Caller
from libs.auth.tokens import CallerTokens
from libs.errors import AppError, Kind

PAGE = 500
# Seconds for each page, not for the whole.
TIMEOUT = 30.0
MAX_RUNNING = 4
_PARENT = re.compile(r"\{parent=([A-Za-z]+)/\*\}")


@dataclass(frozen=True, slots=True)
class Section:
    """A List and what to make of its items; `inner` are the Lists of what lies in each of them."""

    rpc: Rpc
    field: str
    key: str
    write: Write
    inner: tuple[Section, ...] = ()


class Exports:
    """Makes the documents; a few at a time, for each reads a lot, and one for an account."""

    def __init__(
        self, contract: Contract, backends: Mapping[str, Backend], access: CallerTokens
    ) -> None:
        lists = tuple(_lists(contract))
        self._backends = Backends(backends, lists)
        self._sections = sections(lists)
        self._access = access
        self._running: set[UUID] = set()

    async def document(self, who: Caller, account: Message) -> AsyncIterator[bytes]:
        """The document in pieces. Raises AppError: RATE_LIMITED while another is made, and what
        the services raise, after which what came is no whole document."""
        assert who.account is not None
        if who.account in self._running or len(self._running) >= MAX_RUNNING:
            told = "an export is being made; try again when it is done"
            raise AppError(Kind.RATE_LIMITED, "export_running", told, retry_after=30)
        self._running.add(who.account)
        try:
            shown = Writers().writer(descriptor_of(account))(account)
            yield b'{"account":' + orjson.dumps(shown)
            for section in self._sections:
                yield b',"' + section.key.encode() + b'":['
                async for piece in self._items(section, who):
                    yield piece
                yield b"]"
            yield b"}\n"
        finally:
            self._running.discard(who.account)

    async def _items(self, section: Section, who: Caller) -> AsyncIterator[bytes]:
        between = b""
        async for page in self._pages(section, who):
            shown = []
            for item in page:
                one = section.write(item)
                for inner in section.inner:
                    one[inner.key] = [
                        inner.write(found)
                        async for several in self._pages(inner, who, one["name"])
                        for found in several
                    ]
                shown.append(orjson.dumps(one))
            if shown:
                yield between + b",".join(shown)
                between = b","

    async def _pages(
        self, section: Section, who: Caller, parent: str = ""
    ) -> AsyncIterator[list[Any]]:
        request: Any = section.rpc.input(page_size=PAGE)
        if parent:
            request.parent = parent
        while True:
            identity = Identity(who, self._access.token(who))
            context = Context(identity, "", TIMEOUT)
            answer = await self._backends.call(section.rpc, request, context)
            page: Any = section.rpc.output.FromString(answer)
            yield list(getattr(page, section.field))
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def sections(lists: tuple[Rpc, ...]) -> tuple[Section, ...]:
    """What a document has, in the order of the contract: Lists without a parent, and in them those
    of whom they are the parent."""
    writers = Writers()
    made = [(_collection(rpc), _parent(rpc), _section(rpc, writers)) for rpc in lists]
    outer = [(collection, section) for collection, parent, section in made if not parent]
    return tuple(
        Section(
            section.rpc,
            section.field,
            section.key,
            section.write,
            tuple(inner for _, parent, inner in made if parent == collection),
        )
        for collection, section in outer
    )


def _lists(contract: Contract) -> Iterator[Rpc]:
    for rpc in contract.rpcs:
        rule = rpc.rule
        if rpc.item_field is not None and rule.account and not rule.anonymous:
            yield rpc


def _section(rpc: Rpc, writers: Writers) -> Section:
    item = rpc.item_field
    assert item is not None
    return Section(rpc, item.name, item.json_name, writers.writer(kind_of_message(item)))


def _parent(rpc: Rpc) -> str:
    """The collection that it lists within; empty where it lists all of an account's."""
    found = _PARENT.search(rpc.bindings[0].template)
    return found[1] if found else ""


def _collection(rpc: Rpc) -> str:
    return rpc.bindings[0].template.rpartition("/")[2]
