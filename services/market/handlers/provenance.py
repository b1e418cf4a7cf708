"""Where a quote is from: the version that holds it, the file, and the line in that file."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from libs.db import Database
from libs.errors import not_found
from services.market.domain import packing, prices
from services.market.domain.cards import CardKey
from services.market.domain.imports import Import, Snapshot
from services.market.domain.quotes import Quote
from services.market.store import cards, imports, snapshots, versions_at
from services.market.store.raw import RawFiles

# A full day takes about 15 MB.
_FILES_CACHED = 2


@dataclass(frozen=True, slots=True)
class Origin:
    """A quote's origin.

    `line` counts from 1 with the heading. It is None where the file is not kept, or where the
    version holds the card no longer. `quote` is as the version has it, None where it has none.
    """

    snapshot: Snapshot
    item: Import
    line: int | None
    quote: Quote | None


class Provenance:
    """Finds origins by parsing the kept file again."""

    def __init__(self, db: Database, raw: RawFiles, plain_bytes: int, rows: int) -> None:
        self._db = db
        self._raw = raw
        self._plain_bytes = plain_bytes
        self._rows = rows
        # As for files on their way in: one at a time holds the interpreter.
        self._parsing = asyncio.Semaphore(1)
        self._read: OrderedDict[str, Mapping[CardKey, int]] = OrderedDict()

    async def __call__(self, card: str, source: str, day: date, version: int) -> Origin:
        """The origin of a card's quote in one version of a day.

        Raises AppError: NOT_FOUND for a card or a version that is not there, UNAVAILABLE where
        its file is lost or damaged.
        """
        known = await cards.numbers(self._db, [card])
        if card not in known:
            raise not_found(f"cards/{card}")
        snapshot = await snapshots.get(self._db, source, day, version)
        if snapshot is None:
            raise not_found(f"snapshots/{source}-{day}-v{version}")
        item = await imports.get(self._db, snapshot.import_id)
        assert item is not None  # a snapshot's import is never deleted
        number, key = known[card]
        quote = await versions_at.quote(self._db, number, source, day, version)
        if item.raw is None:
            return Origin(snapshot, item, None, quote)
        lines = await self._lines(item.raw, item.sha256, day)
        # The whole key: a row of another printing with the same id had been set aside.
        return Origin(snapshot, item, lines.get(key), quote)

    async def _lines(self, raw: str, sha256: str, day: date) -> Mapping[CardKey, int]:
        """Lines by card of a kept file; those read last stay in memory."""
        async with self._parsing:
            if raw not in self._read:
                data = await self._raw.read(raw, sha256)
                self._read[raw] = await asyncio.to_thread(self._parsed, data, day)
                while len(self._read) > _FILES_CACHED:
                    self._read.popitem(last=False)
            self._read.move_to_end(raw)
            return self._read[raw]

    def _parsed(self, data: bytes, day: date) -> Mapping[CardKey, int]:
        if data.startswith(packing.GZIP_MAGIC):
            data = packing.gunzip(data, self._plain_bytes)
        # The day was in range when the file was taken.
        parsed = prices.parse(data, day=day, latest=day, max_rows=self._rows)
        return dict(zip(parsed.keys, map(int, parsed.lines), strict=True))
