"""Packed signals by day: one card's are in one row, all cards' in a hundred."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from libs.db import Reader, Tx
from services.market.domain.pipeline import DayVersion

# First and last card number, and the data.
Packed = tuple[int, int, bytes]


async def replace(tx: Tx, day: DayVersion, blocks: Sequence[Packed]) -> None:
    """Stores a version's blocks in place of those it had."""
    key = (day.source_number, day.day, day.version)
    await tx.execute(
        "delete from signal_blocks where source = $1 and day = $2 and version = $3", *key
    )
    await tx.copy_records(
        "signal_blocks",
        ("source", "day", "version", "first_card", "last_card", "data"),
        [(*key, *block) for block in blocks],
    )


async def of_card(reader: Reader, day: DayVersion, card: int) -> bytes | None:
    """The block that may hold a card."""
    data: bytes | None = await reader.fetchval(
        "select data from signal_blocks where source = $1 and day = $2 and version = $3"
        " and first_card <= $4 and last_card >= $4 limit 1",
        day.source_number,
        day.day,
        day.version,
        card,
    )
    return data


async def of_card_before(
    reader: Reader, source: int, card: int, before: date | None, limit: int
) -> list[tuple[date, int, bytes]]:
    """By day the newest version that is kept and the block that may hold a card, newest first."""
    rows = await reader.fetch(
        "select distinct on (day) day, version, data from signal_blocks"
        " where source = $1 and first_card <= $2 and last_card >= $2"
        " and ($3::date is null or day < $3) order by day desc, version desc limit $4",
        source,
        card,
        before,
        limit,
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def of_day(reader: Reader, day: DayVersion) -> list[bytes]:
    """All blocks of a version, in order."""
    rows = await reader.fetch(
        "select data from signal_blocks where source = $1 and day = $2 and version = $3"
        " order by first_card",
        day.source_number,
        day.day,
        day.version,
    )
    return [row["data"] for row in rows]


async def prune(tx: Tx, source: int, day: date, kept: int) -> None:
    """Forgets what is older than `kept` days before `day` and of no month's end."""
    await tx.execute(
        "delete from signal_blocks where source = $1 and day <= $2::date - $3::int"
        " and extract(day from day + 1) <> 1",
        source,
        day,
        kept,
    )
