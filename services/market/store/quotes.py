"""Quotes: rows by card and day, in monthly partitions, written by COPY."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import numpy as np

from libs.db import Database, Reader, Tx
from services.market.domain import money
from services.market.domain.changes import Ints, Known
from services.market.domain.prices import FIELDS, Cents
from services.market.store import wire

COLUMNS = ("card", "day", *FIELDS, "source")
_PIECE = 1 << 20
# One at a time makes partitions. Any fixed number serves.
_LOCK = 0x6D6B7470
# Not to_regclass: it can answer from a cache of before the lock was granted.
_HAS_PARTITION = (
    "select exists (select from pg_inherits join pg_class on oid = inhrelid"
    " where inhparent = 'quotes'::regclass and relname = $1)"
)


async def ensure_partition(db: Database, day: date) -> None:
    """Makes the partition of `day`'s month if there is none, in a transaction of its own.

    It is made aside and attached, which takes a lock on `quotes` that lets reads and writes go on.
    """
    first = day.replace(day=1)
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    name = f"quotes_{day:%Y_%m}"
    if await db.fetchval(_HAS_PARTITION, name):
        return
    async with db.transaction() as tx:
        await tx.execute("select pg_advisory_xact_lock($1)", _LOCK)
        if await tx.fetchval(_HAS_PARTITION, name):
            return
        await tx.execute(f"create table {name} (like quotes including all)")
        await tx.execute(
            f"alter table quotes attach partition {name}"
            f" for values from ('{first}') to ('{following}')"
        )


async def insert(tx: Tx, source: int, day: date, cards: Ints, cents: Cents) -> None:
    """COPYs quotes in, in the order of `cards`: sorted, the index grows with fewest page writes."""
    order = np.argsort(cards)
    cards, cents = cards[order], cents[order]
    count = len(cards)
    columns: list[wire.Column] = [
        (cards, None),
        (np.full(count, wire.day_number(day), np.int32), None),
    ]
    for place in range(len(FIELDS)):
        values = np.ascontiguousarray(cents[:, place])
        columns.append((values, values == money.NONE))
    columns.append((np.full(count, source, np.int16), None))
    await tx.connection.copy_to_table(
        "quotes", source=_pieces(wire.encode(columns)), columns=COLUMNS, format="binary"
    )


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    """COPY data as asyncpg takes it without a thread: a file object is read in one."""
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


async def delete(tx: Tx, source: int, day: date, cards: Ints) -> None:
    """Takes the quotes of some cards away."""
    await tx.execute(
        "delete from quotes q using unnest($3::text::int[]) as u (card)"
        " where q.card = u.card and q.day = $1 and q.source = $2",
        day,
        source,
        wire.array(cards),
    )


async def read_day(reader: Reader, source: int, day: date) -> tuple[Ints, Cents]:
    """All quotes of a source on a day: their cards, and n × 5 cents."""
    row = await reader.fetchrow(
        "select array_agg(card), "
        + ", ".join(f"array_agg(coalesce({field}, {money.NONE}))" for field in FIELDS)
        + " from quotes where day = $1 and source = $2",
        day,
        source,
    )
    assert row is not None  # an aggregate has a row
    cards = np.array(row[0] or [], np.int32)
    columns = [np.array(values or [], np.int32) for values in row[1:]]
    return cards, np.stack(columns, axis=1)


async def of_card(
    reader: Reader, card: int, source: str, first: date, last: date
) -> tuple[str, list[tuple[date, int | None, int | None]]]:
    """The source's currency, and a card's (day, market, low) in order of days."""
    currency: str | None = await reader.fetchval(
        "select currency from sources where name = $1", source
    )
    if currency is None:
        return "", []
    rows = await reader.fetch(
        "select q.day, q.market, q.low from quotes q join sources s on s.source = q.source"
        " where q.card = $1 and s.name = $2 and q.day between $3 and $4 order by q.day",
        card,
        source,
        first,
        last,
    )
    return currency, [(row[0], row[1], row[2]) for row in rows]


async def known_before(reader: Reader, source: int, day: date, cards: Ints) -> Known:
    """The newest market price before `day` of each card, in the order of `cards`.

    One index probe a card: for days that are not the source's newest. The newest day's are in
    `card_latest`.
    """
    row = await reader.fetchrow(
        "select array_agg(u.place), array_agg(q.day - date '2000-01-01'), array_agg(q.market)"
        " from unnest($1::text::int[]) with ordinality as u (card, place)"
        " cross join lateral (select day, market from quotes"
        " where card = u.card and source = $2 and day < $3 and market is not null"
        " order by day desc limit 1) q",
        wire.array(cards),
        source,
        day,
    )
    assert row is not None  # an aggregate has a row
    known = Known.nothing(len(cards))
    if row[0] is not None:
        places = np.array(row[0], np.int64) - 1
        known.days[places] = row[1]
        known.cents[places] = row[2]
    return known
