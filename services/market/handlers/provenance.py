"""Where a quote is from: the version that holds it, the file, and the line in that file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date

from libs.db import Database
from libs.errors import not_found
from services.market.domain import packing, prices
from services.market.domain.cards import CardKey
from services.market.domain.imports import Import, Snapshot
from services.market.store import cards, imports, snapshots
from services.market.store.raw import RawFiles


@dataclass(frozen=True, slots=True)
class Origin:
    """A quote's origin.

    `line` counts from 1 with the heading. It is None where the file is not kept, or where the
    version holds the card no longer.
    """

    snapshot: Snapshot
    item: Import
    line: int | None


class Provenance:
    """Finds origins by parsing the kept file again."""

    def __init__(self, db: Database, raw: RawFiles, plain_bytes: int, rows: int) -> None:
        self._db = db
        self._raw = raw
        self._plain_bytes = plain_bytes
        self._rows = rows
        # As for files on their way in: one at a time holds the interpreter.
        self._parsing = asyncio.Semaphore(1)

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
        if item.raw is None:
            return Origin(snapshot, item, None)
        data = await self._raw.read(item.raw, item.sha256)
        async with self._parsing:
            line = await asyncio.to_thread(self._line, data, known[card][1], day)
        return Origin(snapshot, item, line)

    def _line(self, data: bytes, key: CardKey, day: date) -> int | None:
        if data.startswith(packing.GZIP_MAGIC):
            data = packing.gunzip(data, self._plain_bytes)
        # The day was in range when the file was taken.
        parsed = prices.parse(data, day=day, latest=day, max_rows=self._rows)
        # The whole key: a row of another printing with the same id had been set aside.
        return int(parsed.lines[parsed.keys.index(key)]) if key in parsed.keys else None
