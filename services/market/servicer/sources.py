"""pq.market.v1.SourceService."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from libs.api.paging import PageTokens
from libs.api.wire import resource_name, stamp
from libs.clock import Clock
from libs.db import Database
from libs.errors import AppError, Kind, not_found
from pq.market.v1 import sources_pb2 as pb
from pq.market.v1 import sources_pb2_grpc
from services.market import messages
from services.market.domain.schedule import Scheduled
from services.market.handlers.fetching import Asked, Fetching
from services.market.sources.adapter import Adapter, AwayError, DriftError
from services.market.store import fetches
from services.market.store.fetches import Fetch, FetchState

log = logging.getLogger(__name__)

# Seconds after which the answer is that it goes on.
PATIENCE = 5.0

_NAME = re.compile(r"sources/([a-z0-9-]{1,40})", re.ASCII)


class SourceServicer(sources_pb2_grpc.SourceServiceServicer):
    """Sources that are fetched; `off` says by name why one is not."""

    def __init__(
        self,
        db: Database,
        tokens: PageTokens,
        clock: Clock,
        fetching: Fetching,
        schedule: Mapping[str, Scheduled],
        off: Mapping[str, str],
        patience: float = PATIENCE,
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._clock = clock
        self._fetching = fetching
        self._schedule = schedule
        self._off = off
        self._patience = patience
        self._under_way: set[asyncio.Task[Asked]] = set()

    async def ListSources(
        self, request: pb.ListSourcesRequest, _context: Any
    ) -> pb.ListSourcesResponse:
        """The sources."""
        names = sorted(self._fetching.adapters)
        page = self._tokens.page(
            method="ListSources",
            page_size=request.page_size,
            page_token=request.page_token,
            default=100,
        )
        after = str(page.cursor[0]) if page.cursor else ""
        found = [name for name in names if name > after][: page.size + 1]
        shown, token = self._tokens.cut(page, found, lambda last: [last])
        return pb.ListSourcesResponse(
            sources=[await self._source(self._fetching.adapters[name]) for name in shown],
            next_page_token=token,
        )

    async def FetchSource(self, request: pb.FetchSourceRequest, _context: Any) -> pb.SourceFetch:
        """Fetches a source now."""
        name = self._known(request.name)
        if name in self._off:
            raise AppError(Kind.PRECONDITION, "source_off", f"{name} is off: {self._off[name]}")
        # A source may take an hour, and is not broken off because nobody waits any more.
        fetching = asyncio.create_task(self._fetching(name))
        self._under_way.add(fetching)
        fetching.add_done_callback(self._ended)
        await asyncio.wait({fetching}, timeout=self._patience)
        if not fetching.done():
            found = await fetches.page(self._db, name, None, 1)
            if found and found[0].state is FetchState.RUNNING:
                return _fetch(found[0])
        try:
            asked = await asyncio.shield(fetching)
        except (AwayError, DriftError) as error:
            told = f"{name} does not say which day it serves: {error}"
            raise AppError(Kind.UNAVAILABLE, "source_unavailable", told) from error
        assert asked.fetch is not None  # it was noted before anything was asked
        return _fetch(asked.fetch)

    async def ListSourceFetches(
        self, request: pb.ListSourceFetchesRequest, _context: Any
    ) -> pb.ListSourceFetchesResponse:
        """What became of a source's days."""
        name = self._known(request.parent)
        page = self._tokens.page(
            method="ListSourceFetches",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(name,),
        )
        before = date.fromisoformat(str(page.cursor[0])) if page.cursor else None
        found = await fetches.page(self._db, name, before, page.size + 1)
        shown, token = self._tokens.cut(page, found, lambda last: [last.day.isoformat()])
        return pb.ListSourceFetchesResponse(fetches=map(_fetch, shown), next_page_token=token)

    def _ended(self, fetching: asyncio.Task[Asked]) -> None:
        self._under_way.discard(fetching)
        if not fetching.cancelled() and (error := fetching.exception()) is not None:
            log.warning("a source's day was not fetched", extra={"why": str(error)})

    def _known(self, name: str) -> str:
        match = _NAME.fullmatch(name)
        if match is None or match[1] not in self._fetching.adapters:
            raise not_found(name[:80])
        return match[1]

    async def _source(self, adapter: Adapter) -> pb.Source:
        last = await fetches.page(self._db, adapter.name, None, 1)
        daily, off = self._schedule.get(adapter.name), self._off.get(adapter.name, "")
        state = pb.Source.STATE_MANUAL if daily is None else pb.Source.STATE_SCHEDULED
        return pb.Source(
            name=f"sources/{adapter.name}",
            display_name=adapter.notice.title,
            quotes=adapter.quotes,
            licence=adapter.notice.licence,
            attribution=adapter.notice.attribution,
            homepage_uri=adapter.notice.homepage,
            state=pb.Source.STATE_OFF if off else state,
            reason=off,
            next_time=None if daily is None else stamp(daily.next(self._clock.now())),
            last_fetch=_fetch(last[0]) if last else None,
        )


def _fetch(fetch: Fetch) -> pb.SourceFetch:
    item = fetch.import_id
    return pb.SourceFetch(
        source=f"sources/{fetch.adapter}",
        day=fetch.day.isoformat(),
        state=pb.SourceFetch.State.ValueType(fetch.state),
        attempt_count=fetch.attempts,
        start_time=stamp(fetch.start_time),
        end_time=stamp(fetch.end_time),
        next_time=stamp(fetch.next_time),
        error=fetch.error,
        **{"import": resource_name("imports", messages.PREFIX, item) if item else ""},
    )
