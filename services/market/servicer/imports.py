"""pq.market.v1.ImportService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from libs.api import filters
from libs.api.paging import PageTokens
from libs.api.wire import resource_id
from libs.db import Database
from libs.errors import not_found
from pq.market.v1 import imports_pb2 as pb
from pq.market.v1 import imports_pb2_grpc
from services.market import messages
from services.market.handlers.ingest import Ingest
from services.market.servicer.upload import receive
from services.market.store import imports

# So many files are held in memory at a time; the senders of others wait.
MAX_UPLOADS = 4


class ImportServicer(imports_pb2_grpc.ImportServiceServicer):
    """Takes files in and tells what became of them."""

    def __init__(self, db: Database, tokens: PageTokens, ingest: Ingest) -> None:
        self._db = db
        self._tokens = tokens
        self._ingest = ingest
        self._uploads = asyncio.Semaphore(MAX_UPLOADS)

    async def ImportFile(
        self, request_iterator: AsyncIterator[pb.ImportFileRequest], _context: Any
    ) -> pb.Import:
        """Takes one file."""
        async with self._uploads:
            command = await receive(request_iterator, self._ingest.limits.packed_bytes)
            outcome = await self._ingest(command)
        return messages.imported(outcome.item, duplicate=outcome.duplicate)

    async def ListImports(
        self, request: pb.ListImportsRequest, _context: Any
    ) -> pb.ListImportsResponse:
        """A page of imports."""
        where = filters.parse(request.filter, imports.FILTERS, first=3)
        page = self._tokens.page(
            method="ListImports",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(request.filter,),
        )
        after = None if page.cursor is None else UUID(str(page.cursor[0]))
        found, more = await imports.page(self._db, where, after, page.size)
        return pb.ListImportsResponse(
            imports=map(messages.imported, found),
            next_page_token=self._tokens.next(page, None if more is None else (more.hex,)),
        )

    async def GetImport(self, request: pb.GetImportRequest, _context: Any) -> pb.Import:
        """One import."""
        found = await imports.get(self._db, resource_id("imports", messages.PREFIX, request.name))
        if found is None:
            raise not_found(request.name)
        return messages.imported(found)
