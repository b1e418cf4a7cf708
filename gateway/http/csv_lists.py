"""Lists answered as CSV, streamed page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

from gateway.http.backends import Context
from gateway.http.csv import Table
from gateway.http.exchange import Reply
from gateway.http.request import Headers
from gateway.transcode.descriptors import kind_of_message
from gateway.transcode.transcoder import Operation

CSV_HEADERS: Headers = [
    ("content-type", "text/csv; charset=utf-8; header=present"),
    ("cache-control", "no-store"),
    ("vary", "accept, accept-encoding"),
]
CSV_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """A decoded request, ready to be sent."""

    operation: Operation
    request: Message
    context: Context


Send: TypeAlias = Callable[[Call], Awaitable[bytes]]


class CsvLists:
    """Keeps the columns of each resource that was asked for."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}

    async def reply(self, call: Call, send: Send) -> Reply:
        """A List as CSV: the page asked for, or, where none was, all of them.

        The first page is read before the answer begins, so that a refusal is still a problem.
        """
        request = call.request
        if not call.operation.rpc.is_paged:
            only = call.operation.rpc.output.FromString(await send(call))
            return Reply(200, list(CSV_HEADERS), self._pages(call, only, send, whole=False))
        whole = not (request.page_size or request.page_token)  # type: ignore[attr-defined] # a List
        if whole:
            request.page_size = CSV_PAGE  # type: ignore[attr-defined] # a List
        page = call.operation.rpc.output.FromString(await send(call))
        headers = list(CSV_HEADERS)
        following = page.next_page_token  # type: ignore[attr-defined] # a List
        if not whole and following:
            headers.append(("pq-next-page-token", following))
        return Reply(200, headers, self._pages(call, page, send, whole=whole))

    async def _pages(
        self, call: Call, page: Message, send: Send, *, whole: bool
    ) -> AsyncGenerator[bytes]:
        item = call.operation.rpc.item_field
        write = call.operation.write_item
        assert item is not None
        assert write is not None
        table = self._table(call.operation)
        yield table.header.encode()
        while True:
            yield table.rows(getattr(page, item.name), write)
            token = page.next_page_token if whole else ""  # type: ignore[attr-defined] # a List
            if not token:
                return
            call.request.page_token = token  # type: ignore[attr-defined] # a List
            page = call.operation.rpc.output.FromString(await send(call))

    def _table(self, operation: Operation) -> Table:
        item = operation.rpc.item_field
        assert item is not None
        kind = kind_of_message(item)
        if kind.full_name not in self._tables:
            self._tables[kind.full_name] = Table(kind)
        return self._tables[kind.full_name]
