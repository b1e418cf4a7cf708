"""Quotes: of open months rows by card and day, in monthly partitions, written by COPY; of closed
months tiles. Nobody else needs to know which."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from libs.db import Database, Reader, Tx
from services.market.domain import money, months
from services.market.domain.changes import NO_DAY, Ints, Known
from services.market.domain.prices import FIELDS, LOW, MARKET, Cents
from services.market.domain.tiles import CARDS
from services.market.store import tiles, wire

COLUMNS = ("card", "day", *FIELDS, "source")
_PIECE = 1 << 20
# One at a time makes partitions. Any fixed number serves.
_LOCK = 0x6D6B7470
# Not to_regclass: it can answer from a cache of before the lock was granted.
_HAS_PARTITION = (
    "select exists (select from pg_inherits join pg_class on oid = inhrelid"
    " where inhparent = 'quotes'::regclass and relname = $1)"
)


@dataclass(frozen=True, slots=True)
class Quotes:
    """Quotes by column, in the order of cards and days; `cents` is n × 5."""

    cards: Ints
    days: Ints
    cents: Cents

    @property
    def market(self) -> Ints:
        """The market prices."""
        return self.cents[:, MARKET]

    @property
    def low(self) -> Ints:
        """The lowest asks."""
        return self.cents[:, LOW]


async def ensure_partition(db: Database, day: date) -> None:
    """Makes the partition of `day`'s month if there is none, in a transaction of its own.

    None is made for a month that is closed. It is made aside and attached, which takes a lock on
    `quotes` that lets reads and writes go on.
    """
    month = months.month_of(day)
    name = partition(month)
    if await db.fetchval(_HAS_PARTITION, name):
        return
    async with db.transaction() as tx:
        await lock_partitions(tx)
        if await tx.fetchval(_HAS_PARTITION, name) or day < await tiles.rows_from(tx):
            return
        await tx.execute(f"create table {name} (like quotes including all)")
        await tx.execute(
            f"alter table quotes attach partition {name}"
            f" for values from ('{month}') to ('{months.following(month)}')"
        )


def partition(month: date) -> str:
    """The name of a month's partition."""
    return f"quotes_{month:%Y_%m}"


def _month(partition: str) -> date:
    _, year, month = partition.split("_")
    return date(int(year), int(month), 1)


async def lock_partitions(tx: Tx) -> None:
    """Waits until nobody else makes or drops partitions, and keeps others off till commit."""
    await tx.execute("select pg_advisory_xact_lock($1)", _LOCK)


async def oldest_partition(reader: Reader) -> date | None:
    """The oldest month that is kept in rows, None where there is none."""
    name = await reader.fetchval(
        "select min(relname::text) from pg_inherits join pg_class on oid = inhrelid"
        " where inhparent = 'quotes'::regclass"
    )
    return None if name is None else _month(name)


async def lock_month(tx: Tx, month: date) -> None:
    """Keeps others from writing a month's rows, till commit; they may read."""
    await tx.execute(f"lock table {partition(month)} in share row exclusive mode")


async def count_rows(tx: Tx, month: date) -> int:
    """How many rows a month has."""
    found: int = await tx.fetchval(f"select count(*) from {partition(month)}")
    return found


async def drop_month(tx: Tx, month: date) -> None:
    """Takes a month's rows away. Nobody reads quotes from here till commit."""
    await tx.execute(f"drop table {partition(month)}")


async def write(
    tx: Tx, source: int, day: date, cards: Ints, cents: Cents, gone: Ints | None = None
) -> None:
    """Takes quotes of a day away, those of `gone`, and stores others.

    The transaction holds the source's lock.
    """
    if day < await tiles.rows_from(tx):
        await tiles.write(tx, source, day, cards, cents, gone)
        return
    if gone is not None:
        await _delete(tx, source, day, gone)
    await insert(tx, source, day, cards, cents)


async def insert(tx: Tx, source: int, day: date, cards: Ints, cents: Cents) -> None:
    """COPYs quotes in, in the order of `cards`: sorted, the index grows with fewest page writes."""
    order = np.argsort(cards)
    days = np.full(len(cards), wire.day_number(day), np.int32)
    await copy(tx, "quotes", source, Quotes(cards[order], days, cents[order]))


async def copy(tx: Tx, table: str, source: int, found: Quotes) -> None:
    """COPYs quotes of a source into a table with COLUMNS."""
    columns: list[wire.Column] = [(found.cards, None), (found.days, None)]
    for place in range(len(FIELDS)):
        values = np.ascontiguousarray(found.cents[:, place])
        columns.append((values, values == money.NONE))
    columns.append((np.full(len(found.cards), source, np.int16), None))
    await tx.connection.copy_to_table(
        table, source=_pieces(wire.encode(columns)), columns=COLUMNS, format="binary"
    )


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    """COPY data as asyncpg takes it without a thread: a file object is read in one."""
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


async def _delete(tx: Tx, source: int, day: date, cards: Ints) -> None:
    await tx.execute(
        "delete from quotes q using unnest($3::text::int[]) as u (card)"
        " where q.card = u.card and q.day = $1 and q.source = $2",
        day,
        source,
        wire.array(cards),
    )


async def read_day(reader: Reader, source: int, day: date) -> tuple[Ints, Cents]:
    """All quotes of a source on a day: their cards, and n × 5 cents."""
    return await tiles.steady(
        reader,
        lambda rows_from: (tiles.read_day if day < rows_from else _rows_of_day)(
            reader, source, day
        ),
    )


async def _rows_of_day(reader: Reader, source: int, day: date) -> tuple[Ints, Cents]:
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


async def read_rows(
    db: Database, source: int, first: date, last: date, fields: Sequence[str] = FIELDS
) -> list[Ints]:
    """The rows of some days that are not in tiles, by column: cards, days, and the fields."""
    columns = "".join(f", coalesce({field}, {money.NONE})" for field in fields)
    return await wire.read(
        db,
        2 + len(fields),
        f"select card, day - date '2000-01-01'{columns} from quotes"
        " where source = $1 and day between $2 and $3",
        source,
        first,
        last,
    )


async def read_month(db: Database, source: int, month: date) -> Quotes:
    """All quotes of a source in a month."""
    last = months.following(month) - timedelta(days=1)

    async def read(rows_from: date) -> Quotes:
        if month < rows_from:
            return Quotes(*(await tiles.read_month(db, source, month)).by_column(month))
        cards, days, *fields = await read_rows(db, source, month, last)
        return Quotes(cards, days, np.stack(fields, axis=1))

    found = await tiles.steady(db, read)
    order = np.lexsort((found.days, found.cards))
    return Quotes(found.cards[order], found.days[order], found.cents[order])


async def of_cards(
    reader: Reader, source: int, cards: Sequence[int], first: date, last: date
) -> Quotes:
    """A source's quotes of a few cards on some days."""
    # One statement sees rows and tiles as of one moment.
    found = await reader.fetch(_OF_CARDS, source, list(cards), first, last)
    rows = [_row(row) for row in found if row["tile"] is None]
    parts = [np.array(rows, np.int32).reshape(-1, 2 + len(FIELDS))]
    ordered = np.unique(np.array(cards, np.int32))
    parts += [_tile(row, ordered) for row in found if row["tile"] is not None]
    joined = np.concatenate(parts)
    days = joined[:, 1]
    joined = joined[(days >= wire.day_number(first)) & (days <= wire.day_number(last))]
    joined = joined[np.lexsort((joined[:, 1], joined[:, 0]))]
    return Quotes(joined[:, 0], joined[:, 1], joined[:, 2:])


def plain(prices: Iterable[int]) -> list[int | None]:
    """Prices as the database has them: null where there is none."""
    return [None if price == money.NONE else int(price) for price in prices]


def _row(row: Any) -> list[int]:
    prices = [money.NONE if row[field] is None else row[field] for field in FIELDS]
    return [row["card"], wire.day_number(row["day"]), *prices]


def _tile(row: Any, cards: Ints) -> Ints:
    """Of the ascending `cards` those of the tile."""
    start, stop = np.searchsorted(cards, [row["card"], row["card"] + CARDS])
    return np.column_stack(tiles.of_cards(row["day"], row["tile"], cards[start:stop]))


async def known_before(reader: Reader, source: int, day: date, cards: Ints) -> Known:
    """The newest market price before `day` of each card, in the order of `cards`.

    One index probe a card: for days that are not the source's newest. The newest day's are in
    `card_latest`. The transaction holds the source's lock.
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
    # Whatever is in tiles is older.
    [left] = np.nonzero(known.days == NO_DAY)
    if len(left):
        older = await tiles.newest(reader, source, day, cards[left], known_only=True)
        known.days[left] = older.known.days
        known.cents[left] = older.known.cents
    return known


_OF_CARDS = f"""
select card, day, {", ".join(FIELDS)}, null::bytea[] as tile
from quotes join unnest($2::int[]) as u (card) using (card)
where source = $1 and day between $3 and $4
union all
select first_card, month, {", ".join("null" for _ in FIELDS)}, array[{", ".join(FIELDS)}]
from quote_tiles join (select distinct card - card % {CARDS} from unnest($2::int[]) as u (card))
    as b (first_card) using (first_card)
where source = $1 and month between $3::date - 30 and $4
"""
