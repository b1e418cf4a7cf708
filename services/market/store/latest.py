"""The newest quote of each card and source: read by lists, and by the next day's comparison."""

from __future__ import annotations

from datetime import date

import numpy as np

from libs.db import Reader, Tx
from services.market.domain import money
from services.market.domain.changes import NO_DAY, Ints, Known, Mask
from services.market.domain.prices import FIELDS, Cents
from services.market.store import tiles, wire


async def known(reader: Reader, source: int, cards: Ints) -> tuple[Mask, Known]:
    """Which of `cards` have a row, and their newest known market price, in the order given."""
    row = await reader.fetchrow(
        "select array_agg(card),"
        f" array_agg(coalesce(known_day - date '2000-01-01', {NO_DAY})),"
        f" array_agg(coalesce(known, {money.NONE}))"
        " from card_latest join unnest($2::text::int[]) as u (card) using (card)"
        " where source = $1",
        source,
        wire.array(cards),
    )
    assert row is not None  # an aggregate has a row
    there, prices = np.zeros(len(cards), np.bool_), Known.nothing(len(cards))
    if row[0] is None:
        return there, prices
    found = np.array(row[0], np.int32)
    order = np.argsort(cards)
    places = order[np.searchsorted(cards, found, sorter=order)]
    there[places] = True
    prices.days[places] = row[1]
    prices.cents[places] = row[2]
    return there, prices


async def insert(tx: Tx, source: int, day: date, cards: Ints, cents: Cents) -> None:
    """Makes rows, as of a day's quotes, for cards that the source had not quoted before."""
    if not len(cards):
        return
    await tx.execute(
        "update card_latest l set headline = false from unnest($1::text::int[]) as u (card)"
        " where l.card = u.card and l.source > $2 and l.headline",
        wire.array(cards),
        source,
    )
    await tx.execute(_INSERT, source, day, *_arrays(cards, cents))


async def advance(tx: Tx, source: int, day: date, cards: Ints, cents: Cents) -> None:
    """Brings rows up to a day's quotes, as far as they are older than the day."""
    if len(cards):
        await tx.execute(_ADVANCE, source, day, *_arrays(cards, cents))


async def recompute(tx: Tx, source: int, day: date, cards: Ints) -> None:
    """Reads rows anew from the quotes, where a correction of `day` may have touched them."""
    touched = await tx.fetch(_RECOMPUTE, source, day, wire.array(cards))
    # Whatever is in tiles is older than every row.
    left = np.array([row[0] for row in touched if None in (row[1], row[2])], np.int32)
    if len(left):
        found = await tiles.newest(tx, source, await tiles.rows_from(tx), left)
        numbers = [found.days, found.known.days, found.known.cents, *found.cents.T]
        await tx.execute(_FILL, source, *map(wire.array, [left, *numbers]))


def _arrays(cards: Ints, cents: Cents) -> list[str]:
    return [wire.array(cards), *(wire.array(cents[:, place]) for place in range(len(FIELDS)))]


_QUOTED = """
    unnest($3::text::int[], $4::text::int[], $5::text::int[], $6::text::int[], $7::text::int[],
        $8::text::int[])
    as u (card, market, low, mid, high, direct_low)
"""

# -1 is money.NONE.
_INSERT = f"""
insert into card_latest
    (card, source, headline, day, market, low, mid, high, direct_low, known_day, known)
select u.card, $1::smallint,
    not exists (select from card_latest other where other.card = u.card and other.source < $1),
    $2::date, nullif(u.market, -1), nullif(u.low, -1), nullif(u.mid, -1), nullif(u.high, -1),
    nullif(u.direct_low, -1), case when u.market >= 0 then $2::date end, nullif(u.market, -1)
from {_QUOTED}
order by u.card
"""

# Rows older than the day take the whole quote; a known price moves on by itself, for the newest
# quote may be without one. -1 is money.NONE.
_ADVANCE = f"""
update card_latest l set
    day = greatest(l.day, $2),
    market = case when l.day > $2 then l.market else nullif(u.market, -1) end,
    low = case when l.day > $2 then l.low else nullif(u.low, -1) end,
    mid = case when l.day > $2 then l.mid else nullif(u.mid, -1) end,
    high = case when l.day > $2 then l.high else nullif(u.high, -1) end,
    direct_low = case when l.day > $2 then l.direct_low else nullif(u.direct_low, -1) end,
    known_day = case when u.market < 0 or l.known_day > $2 then l.known_day else $2 end,
    known = case when u.market < 0 or l.known_day > $2 then l.known else u.market end
from {_QUOTED}
where l.card = u.card and l.source = $1
    and (l.day is null or l.day <= $2
         or (u.market >= 0 and (l.known_day is null or l.known_day <= $2)))
"""

_RECOMPUTE = """
update card_latest l set
    day = q.day, market = q.market, low = q.low, mid = q.mid, high = q.high,
    direct_low = q.direct_low, known_day = k.day, known = k.market
from unnest($3::text::int[]) as u (card)
left join lateral (
    select * from quotes where card = u.card and source = $1 order by day desc limit 1) q on true
left join lateral (
    select day, market from quotes where card = u.card and source = $1 and market is not null
    order by day desc limit 1) k on true
where l.card = u.card and l.source = $1
    and (l.day is null or l.day <= $2 or l.known_day is null or l.known_day <= $2)
returning l.card, l.day, l.known_day
"""

_FILL = f"""
update card_latest l set
    day = coalesce(l.day, u.day),
    {", ".join(f"{one} = case when l.day is null then u.{one} else l.{one} end" for one in FIELDS)},
    known_day = coalesce(l.known_day, u.known_day),
    known = case when l.known_day is null then u.known else l.known end
from (
    select card,
        date '2000-01-01' + nullif(day, {NO_DAY}) as day,
        date '2000-01-01' + nullif(known_day, {NO_DAY}) as known_day,
        {", ".join(f"nullif({one}, {money.NONE}) as {one}" for one in ("known", *FIELDS))}
    from unnest($2::text::int[], $3::text::int[], $4::text::int[], $5::text::int[],
        $6::text::int[], $7::text::int[], $8::text::int[], $9::text::int[], $10::text::int[])
        as t (card, day, known_day, known, {", ".join(FIELDS)})
) u
where l.card = u.card and l.source = $1
"""
