"""Takes files in: one file, one transaction, under its source's lock."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial

from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, invalid
from libs.errors import Kind as ErrorKind
from libs.ids import Ids
from services.market.domain import catalog, packing, prices
from services.market.domain.catalog import Catalog
from services.market.domain.faults import MAX_FAULTS, FileRefusedError, RowFault
from services.market.domain.imports import Import, Kind, Mode, Snapshot, mode_of
from services.market.domain.prices import Prices
from services.market.domain.terms import Terms
from services.market.errors import refused
from services.market.handlers import events, gate
from services.market.handlers.card_index import CardIndex
from services.market.handlers.versions import Version, correct, first
from services.market.store import cards, imports, pipeline, plans, quotes, snapshots, sources
from services.market.store.raw import RawFiles
from services.market.store.sources import Source

# Up to so many bytes, and so many changes, the work is done in about a millisecond: sooner than a
# thread takes it over.
_SMALL = 32 << 10
_FEW = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken: bytes of a file as it comes and unpacked, rows, and days ahead of today."""

    packed_bytes: int = 32 << 20
    plain_bytes: int = 64 << 20
    rows: int = 500_000
    days_ahead: int = 7


@dataclass(frozen=True, slots=True)
class ImportFile:
    """The command: a whole file, its digest checked. `day` is None where the file says it.

    `raw` is where the bytes are kept: the use case says it.
    """

    kind: Kind
    source: str
    day: date | None
    file_name: str
    gzip: bool | None
    backfill: bool
    data: bytes
    sha256: str
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The import, and whether this very file had been taken in before."""

    item: Import
    duplicate: bool


class Ingest:
    """The use case, with what it keeps between files."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        ids: Ids,
        terms: Mapping[str, Terms],
        limits: Limits,
        raw: RawFiles,
    ) -> None:
        self.limits = limits
        # Told after each commit that made a version.
        self.published: Callable[[], None] = lambda: None
        self._db = db
        self._clock = clock
        self._ids = ids
        self._terms = terms
        self._raw = raw
        self._sources: dict[str, Source] = {}
        self._months: set[tuple[int, int]] = set()
        self._index = CardIndex()
        # Parsing holds the interpreter and memory in proportion to the file: one at a time.
        self._parsing = asyncio.Semaphore(1)
        # Waiters of one process queue here and hold no connection; the database's lock is for
        # other processes.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def sources(self) -> Collection[str]:
        """The sources that are configured."""
        return self._terms.keys()

    async def check_source(self, name: str) -> Source:
        """The source of this name. Raises AppError (INVALID) for one that is not configured."""
        if name not in self._terms:
            known = ", ".join(self._terms)
            raise invalid(
                "header.source", f"expected one of {known}; got {name[:60]!r}", "unknown_source"
            )
        if name not in self._sources:
            async with self._db.transaction() as tx:
                await sources.register(tx, self._terms)
            self._sources = await sources.read_all(self._db)
        source = self._sources[name]
        if source.terms != self._terms[name]:
            raise AppError(
                ErrorKind.PRECONDITION,
                "terms_changed",
                f"{name} is stored as {source.terms}, configured as {self._terms[name]}",
            )
        return source

    async def __call__(self, command: ImportFile) -> Outcome:
        """Stores a file and publishes what it changes. Raises AppError where it is refused."""
        source = await self.check_source(command.source)
        earlier = await imports.find(self._db, source.number, command.kind, command.sha256)
        if earlier is not None:
            return Outcome(earlier, duplicate=True)
        try:
            parsed = await self._parse(command)
        except FileRefusedError as error:
            raise refused(error) from None
        # Before the rows: a day that is published can always be explained.
        kept = await self._raw.keep(command.source, command.sha256, command.data)
        command = replace(command, raw=kept)
        if isinstance(parsed, Prices):
            await self._ensure_month(parsed.day)
        async with self._turns[command.source], self._db.transaction() as tx:
            await sources.lock(tx, source)
            await plans.expect(tx, len(parsed))
            earlier = await imports.find(tx, source.number, command.kind, command.sha256)
            if earlier is not None:
                return Outcome(earlier, duplicate=True)
            if isinstance(parsed, Prices):
                item = await self._store_prices(tx, source, command, parsed)
            else:
                item = await self._store_catalog(tx, source, command, parsed)
        return Outcome(item, duplicate=False)

    async def _parse(self, command: ImportFile) -> Prices | Catalog:
        if len(command.data) <= _SMALL and not command.data.startswith(packing.GZIP_MAGIC):
            return self._read(command)
        async with self._parsing:
            return await asyncio.to_thread(self._read, command)

    def _read(self, command: ImportFile) -> Prices | Catalog:
        data, packed = command.data, command.gzip
        if packed is None:
            packed = data.startswith(packing.GZIP_MAGIC)
        if packed:
            data = packing.gunzip(data, self.limits.plain_bytes)
        if command.kind is Kind.CATALOG:
            return catalog.parse(data, max_rows=self.limits.rows)
        latest = self._clock.now().date() + timedelta(days=self.limits.days_ahead)
        return prices.parse(data, day=command.day, latest=latest, max_rows=self.limits.rows)

    async def _ensure_month(self, day: date) -> None:
        month = (day.year, day.month)
        if month not in self._months:
            await quotes.ensure_partition(self._db, day)
            self._months.add(month)

    async def _store_prices(
        self, tx: Tx, source: Source, command: ImportFile, parsed: Prices
    ) -> Import:
        standing = await snapshots.standing(tx, source.number, parsed.day)
        published = standing.version is not None
        mode = mode_of(
            parsed.day, published=published, newest=standing.newest, backfill=command.backfill
        )
        numbers = await self._index.resolve(tx, parsed)
        store = correct if published else first
        made = await store(tx, source.number, parsed, numbers, news=not command.backfill)
        item = self._item(command, parsed.day, parsed.faults, parsed.row_count, len(parsed))
        if made is None:
            item = replace(item, mode=mode)
            await imports.insert(tx, source.number, item)
            return item
        item = replace(
            item,
            mode=mode,
            change_count=len(made.changes),
            version=(standing.version or 0) + 1,
        )
        await self._publish(tx, source, item, made)
        return item

    async def _publish(self, tx: Tx, source: Source, item: Import, made: Version) -> None:
        assert item.day is not None  # these are prices
        assert item.version is not None  # and something differed
        snapshot = Snapshot(
            source=source.name,
            day=item.day,
            version=item.version,
            publish_time=item.create_time,
            quote_count=item.accepted_count,
            change_count=item.change_count,
            rejected_count=item.rejected_count,
            import_id=item.id,
            mode=item.mode,
        )
        verdict = await gate.judge(
            tx, source.number, item.day, item.mode, item.accepted_count, item.change_count
        )
        snapshot = replace(snapshot, health=verdict.health, usual_share=verdict.usual)
        await imports.insert(tx, source.number, item)
        await snapshots.insert(tx, source.number, snapshot)
        await snapshots.insert_corrections(tx, source.number, snapshot, made.corrections)
        if snapshot.is_held:
            made = gate.held_back(made)
        else:
            await pipeline.enqueue(tx, self._ids.uuid(), source.number, snapshot)
        tx.after_commit(self.published)
        publish = partial(events.publish, tx, snapshot, source.terms.currency, made.changes)
        if len(made.changes) <= _FEW:
            publish()
        else:
            await asyncio.to_thread(publish)

    async def _store_catalog(
        self, tx: Tx, source: Source, command: ImportFile, parsed: Catalog
    ) -> Import:
        await cards.lock(tx)
        await cards.upsert_products(tx, parsed)
        item = self._item(command, None, parsed.faults, parsed.row_count, len(parsed))
        await imports.insert(tx, source.number, item)
        return item

    def _item(
        self,
        command: ImportFile,
        day: date | None,
        faults: list[RowFault],
        row_count: int,
        accepted: int,
    ) -> Import:
        return Import(
            id=self._ids.uuid(),
            kind=command.kind,
            source=command.source,
            day=day,
            file_name=command.file_name,
            sha256=command.sha256,
            size=len(command.data),
            create_time=self._clock.now(),
            row_count=row_count,
            accepted_count=accepted,
            rejected_count=row_count - accepted,
            faults=tuple(faults[:MAX_FAULTS]),
            change_count=0,
            version=None,
            mode=Mode.UNSPECIFIED,
            raw=command.raw,
        )
