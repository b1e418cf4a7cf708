"""Fetches a source's day and takes it in, as a file that somebody sends is taken in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from libs.clock import Clock
from libs.db import Database
from services.market.domain.imports import Kind
from services.market.handlers.ingest import ImportFile, Ingest
from services.market.handlers.matching import matched
from services.market.sources.adapter import (
    Adapter,
    AwayError,
    Composed,
    DriftError,
    Get,
    Rendered,
    UnmatchedError,
    Web,
)
from services.market.store import fetches
from services.market.store.fetches import Fetch
from services.market.store.raw import RawFiles

log = logging.getLogger(__name__)

# Seconds until a day is tried again, by how often it failed; then hourly.
RETRIES = (60.0, 300.0, 900.0, 3600.0)

# Makes the way to an adapter's server.
Connect = Callable[[Adapter], Web]


@dataclass(frozen=True, slots=True)
class Asked:
    """Says which day the source serves, and what became of it."""

    day: date
    fetch: Fetch | None


class Fetching:
    """The use case; one fetch of an adapter at a time."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        ingest: Ingest,
        raw: RawFiles,
        adapters: Mapping[str, Adapter],
        connect: Connect,
    ) -> None:
        self._db = db
        self._clock = clock
        self._ingest = ingest
        self._raw = raw
        self.adapters = adapters
        self._connect = connect
        self._turns = {name: asyncio.Lock() for name in adapters}

    async def __call__(self, name: str) -> Asked:
        """Fetches the day that the source serves now, unless it was fetched before.

        A failure is noted with its reason and when to try again; what had come stays. Raises
        AwayError or DriftError where not even the day is known.
        """
        adapter = self.adapters[name]
        async with self._turns[name]:
            get = _asking(adapter, self._connect(adapter))
            day = await adapter.newest(get)
            known = await fetches.get(self._db, name, day)
            if known is None or known.state is not fetches.FetchState.SUCCEEDED:
                await self._fetch(adapter, day, get)
            return Asked(day, await fetches.get(self._db, name, day))

    async def _fetch(self, adapter: Adapter, day: date, get: Get) -> None:
        await fetches.begin(self._db, adapter.name, day, self._clock.now())
        try:
            rendered = await adapter.fetch(day, self._kept(adapter.name, day, get))
            item = await self._take_in(adapter, await matched(self._db, adapter, rendered))
        except (AwayError, DriftError, UnmatchedError) as error:
            again = await self._again(adapter.name, day)
            told = f"{type(error).__name__.removesuffix('Error').lower()}: {error}"
            log.warning("a source's day was not fetched", extra={"of": adapter.name, "why": told})
            await fetches.fail(self._db, adapter.name, day, self._clock.now(), told, again)
            return
        await fetches.succeed(self._db, adapter.name, day, self._clock.now(), item)

    async def _take_in(self, adapter: Adapter, rendered: Rendered) -> UUID:
        """Products first: cards are made with what is known of them. Answers the first import."""
        named = f"{adapter.name}-{rendered.day}"
        if rendered.catalog:
            await self._ingest(
                _file(Kind.CATALOG, adapter.quotes, f"{named}-catalog", rendered.catalog)
            )
        done = []
        files = {adapter.quotes: rendered.prices} if rendered.prices else {}
        for source, data in (files | dict(rendered.others)).items():
            if source not in self._ingest.sources:
                continue
            name = f"{named}-prices" if source == adapter.quotes else f"{named}-{source}"
            done.append(await self._ingest(_file(Kind.PRICES, source, name, data, rendered.day)))
        if not done:
            raise UnmatchedError("what is matched is of no source that PQ_MARKET_SOURCES names")
        return done[0].item.id

    def _kept(self, name: str, day: date, get: Get) -> Get:
        """The same way, past what was fetched before; what comes is kept before it is used."""

        async def kept(part: str) -> bytes:
            known = await fetches.part(self._db, name, day, part)
            if known is not None:
                return await self._raw.read(*known)
            data = await get(part)
            digest = sha256(data).hexdigest()
            raw = await self._raw.keep(name, digest, data)
            now = self._clock.now()
            await fetches.keep_part(self._db, name, day, part, raw, digest, now)
            return data

        return kept

    async def _again(self, name: str, day: date) -> datetime:
        known = await fetches.get(self._db, name, day)
        attempts = known.attempts if known is not None else 1
        wait = RETRIES[min(attempts, len(RETRIES)) - 1]
        return self._clock.now() + timedelta(seconds=wait)


def _asking(adapter: Adapter, web: Web) -> Get:
    if not isinstance(adapter, Composed):
        return web.get

    async def ask(part: str) -> bytes:
        return await adapter.ask(part, web)

    return ask


def _file(kind: Kind, source: str, name: str, data: bytes, day: date | None = None) -> ImportFile:
    digest = sha256(data).hexdigest()
    return ImportFile(kind, source, day, f"{name}.csv", False, False, data, digest)
