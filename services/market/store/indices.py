"""Indices and their levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from libs.db import Reader, Tx
from services.market.store import wire


@dataclass(frozen=True, slots=True)
class Shown:
    """An index with its newest level, None before the first."""

    id: str
    source: str
    title: str
    methodology: str
    day: date | None
    level: float | None
    members: int | None
    month_ago: float | None


@dataclass(frozen=True, slots=True)
class Level:
    """A level as it is stored; by which data version."""

    day: date
    level: float
    divisor: float
    members: int
    data_version: int = 0


@dataclass(frozen=True, slots=True)
class Basket:
    """Who entered an index on a day on which it was made up anew, by ascending numbers;
    `equal_value` of each, else one copy of each."""

    start: date
    equal_value: bool
    cards: npt.NDArray[np.int32]


# Card number, sealed, set, its title, year of publication (0: unknown).
Rows = Sequence[tuple[int, bool, str, str, int]]
_PAGE = 5000


async def attributes(reader: Reader, source: int) -> Rows:
    """Of a source's cards, by number; page by page, so that others get their turn."""
    found: list[tuple[int, bool, str, str, int]] = []
    while True:
        rows = await _attributes(reader, source, found[-1][0] if found else 0)
        found += rows
        if len(rows) < _PAGE:
            return found


async def _attributes(
    reader: Reader, source: int, after: int
) -> list[tuple[int, bool, str, str, int]]:
    rows = await reader.fetch(
        "select c.card, coalesce(c.sealed, false), c.category || '-' || c.set_id, c.set_name,"
        " coalesce(extract(year from p.published), 0)::int"
        " from cards c join card_latest l on l.card = c.card and l.source = $1"
        " left join products p on p.category = c.category and p.product_id = c.product_id"
        " where c.card > $2 order by c.card limit $3",
        source,
        after,
        _PAGE,
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


async def note(tx: Tx, source: int, found: Sequence[tuple[str, str, str]]) -> None:
    """Stores what indices there are: id, title, methodology."""
    await tx.execute(
        "insert into indices (source, index_id, title, methodology)"
        " select $1, u.id, u.title, u.told from unnest($2::text[], $3::text[], $4::text[])"
        " as u(id, title, told) on conflict (source, index_id) do update set"
        " title = excluded.title, methodology = excluded.methodology"
        " where (indices.title, indices.methodology)"
        " is distinct from (excluded.title, excluded.methodology)",
        source,
        [one[0] for one in found],
        [one[1] for one in found],
        [one[2] for one in found],
    )


async def at(reader: Reader, source: int, first: date, last: date) -> dict[str, dict[date, float]]:
    """By index its levels of a time, those that count."""
    rows = await reader.fetch(
        "select distinct on (index_id, day) index_id, day, level from index_levels"
        " where source = $1 and day between $2 and $3 order by index_id, day, data_version desc",
        source,
        first,
        last,
    )
    found: dict[str, dict[date, float]] = {}
    for row in rows:
        found.setdefault(row[0], {})[row[1]] = row[2]
    return found


async def insert(tx: Tx, source: int, data_version: int, rows: Sequence[tuple[str, Level]]) -> None:
    """Stores levels; of the same data version they replace those stored before."""
    await tx.execute(
        "insert into index_levels (source, index_id, day, data_version, level, divisor, members)"
        " select $1, u.id, u.day, $2, u.level, u.divisor, u.members from"
        " unnest($3::text[], $4::date[], $5::float8[], $6::float8[], $7::int[])"
        " as u(id, day, level, divisor, members)"
        " on conflict (source, index_id, day, data_version) do update set"
        " level = excluded.level, divisor = excluded.divisor, members = excluded.members",
        source,
        data_version,
        [id for id, _ in rows],
        [one.day for _, one in rows],
        [one.level for _, one in rows],
        [one.divisor for _, one in rows],
        [one.members for _, one in rows],
    )


async def insert_baskets(
    tx: Tx, source: int, data_version: int, found: Sequence[tuple[str, Basket]]
) -> None:
    """Stores baskets that are not those that count already; of the same data version they replace
    those stored before."""
    await tx.executemany(
        "insert into index_baskets (source, index_id, start, data_version, equal_value, cards)"
        " select $1, $2, $3, $4, $5, new.cards from (select $6::text::int[] as cards) new"
        " where new.cards is distinct from (select cards from index_baskets"
        " where source = $1 and index_id = $2 and start = $3 order by data_version desc limit 1)"
        " on conflict (source, index_id, start, data_version) do update set"
        " equal_value = excluded.equal_value, cards = excluded.cards",
        [
            (source, id, one.start, data_version, one.equal_value, wire.array(one.cards))
            for id, one in found
        ],
    )


async def basket(reader: Reader, source: str, id: str, day: date) -> Basket | None:
    """The basket that counts on a day."""
    row = await reader.fetchrow(
        "select start, equal_value, cards from index_baskets join sources s using (source)"
        " where s.name = $1 and index_id = $2 and start <= $3"
        " order by start desc, data_version desc limit 1",
        source,
        id,
        day,
    )
    return None if row is None else Basket(row[0], row[1], np.array(row[2], np.int32))


_SHOWN = """
select i.index_id, s.name, i.title, i.methodology, n.day, n.level, n.members,
    (select level from index_levels b where b.source = i.source and b.index_id = i.index_id
        and b.day <= n.day - 30 order by b.day desc, b.data_version desc limit 1)
from indices i join sources s using (source)
left join lateral (select day, level, members from index_levels l
    where l.source = i.source and l.index_id = i.index_id
    order by day desc, data_version desc limit 1) n on true
"""


async def page(reader: Reader, after: tuple[int, str] | None, limit: int) -> list[Shown]:
    """Indices by source and id, after a place."""
    source, id = after or (None, None)
    rows = await reader.fetch(
        f"{_SHOWN} where ($1::smallint is null or (i.source, i.index_id) > ($1, $2::text))"
        " order by i.source, i.index_id limit $3",
        source,
        id,
        limit,
    )
    return [Shown(*row) for row in rows]


async def broad(reader: Reader, source: int) -> list[Shown]:
    """A source's indices that are not of one set."""
    rows = await reader.fetch(
        f"{_SHOWN} where i.source = $1 and i.index_id not like 'set-%' order by i.index_id", source
    )
    return [Shown(*row) for row in rows]


async def get(reader: Reader, source: str, id: str) -> Shown | None:
    """One index."""
    row = await reader.fetchrow(f"{_SHOWN} where s.name = $1 and i.index_id = $2", source, id)
    return None if row is None else Shown(*row)


async def levels(
    reader: Reader, source: str, id: str, before: date | None, limit: int
) -> list[Level]:
    """Levels that count, newest first, before a day."""
    rows = await reader.fetch(
        "select distinct on (day) day, level, divisor, members, data_version from index_levels"
        " join sources s using (source) where s.name = $1 and index_id = $2"
        " and ($3::date is null or day < $3) order by day desc, data_version desc limit $4",
        source,
        id,
        before,
        limit,
    )
    return [Level(*row) for row in rows]


async def level_at(reader: Reader, source: str, id: str, day: date) -> Level | None:
    """The level of a day that counts."""
    row = await reader.fetchrow(
        "select day, level, divisor, members, data_version from index_levels"
        " join sources s using (source) where s.name = $1 and index_id = $2 and day = $3"
        " order by data_version desc limit 1",
        source,
        id,
        day,
    )
    return None if row is None else Level(*row)


async def number(reader: Reader, source: str) -> int | None:
    """The number of a source."""
    found: int | None = await reader.fetchval("select source from sources where name = $1", source)
    return found
