"""One card's history across sources, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import groupby
from typing import Any

from libs.api import filters
from libs.db import Reader
from services.market.domain.prices import FIELDS
from services.market.domain.quotes import Quote
from services.market.domain.tiles import CARDS
from services.market.store import quotes, tiles, wire

FILTERS = {"day": filters.day("q.day"), "source": filters.text("s.name")}

_PRICES = ", ".join(f"q.{field}" for field in FIELDS)
_NONE = ", ".join("null" for _ in FIELDS)
_TILE = ", ".join(f"t.{field}" for field in FIELDS)

# A place in a history: its day, and the source's number.
Place = tuple[date, int]


async def page(
    reader: Reader,
    card: int,
    where: filters.Where,
    after: Place | None,
    limit: int,
    *,
    descending: bool,
) -> tuple[list[Quote], Place | None]:
    """Quotes by (day, source) after a place, and where the next page begins, None at the end.

    `where` is made with FILTERS and counts its parameters from 3.
    """
    direction, sign = ("desc", "<") if descending else ("asc", ">")
    keyset, params = "", [*where.params]
    if after is not None:
        first = len(params) + 3
        # The day by itself too: it is what leaves partitions out.
        keyset = (
            f" and q.day {sign}= ${first}"
            f" and (q.day, q.source) {sign} (${first}, ${first + 1}::smallint)"
        )
        params += after
    # What is asked for first may be all in rows.
    enough = " and (select count(*) from newer) < $2" if descending else ""
    found = await reader.fetch(
        f"""
        with newer as (
            select q.day, q.source, s.name, s.currency, s.condition, {_PRICES}
            from quotes q join sources s using (source)
            where q.card = $1 and {where.sql}{keyset}
            order by q.day {direction}, q.source {direction} limit $2
        )
        select *, null::date[] as days, null::bytea[] as tile from newer
        union all
        select t.month, t.source, s.name, s.currency, s.condition, {_NONE},
            wanted.days, array[{_TILE}]
        from quote_tiles t join sources s using (source)
        cross join lateral (
            select array_agg(q.day) as days
            from (select t.month + n as day, t.source from generate_series(0, 30) n) q
            where q.day < t.month + interval '1 month' and {where.sql}{keyset}
        ) wanted
        where t.first_card = $1 - $1 % {CARDS} and wanted.days is not null{enough}
        """,
        card,
        limit + 1,
        *params,
    )
    rows = [((row["day"], row["source"]), _quote(row)) for row in found if row["days"] is None]
    tiled = sorted((row for row in found if row["days"] is not None), key=_month)
    # Whatever is in tiles is older than every row.
    placed = rows if descending else []
    for _, month in groupby(reversed(tiled) if descending else tiled, key=_month):
        if len(placed) > limit:
            break
        opened = [one for row in month for one in _opened(row, card)]
        placed += sorted(opened, key=_place, reverse=descending)
    if not descending:
        placed += rows
    place = placed[limit - 1][0] if len(placed) > limit else None
    return [quote for _, quote in placed[:limit]], place


def _month(row: Any) -> date:
    month: date = row["day"]
    return month


def _place(one: tuple[Place, Quote]) -> Place:
    return one[0]


def _quote(row: Any) -> Quote:
    return Quote(row["day"], *_whose(row), *(row[field] for field in FIELDS))


def _whose(row: Any) -> tuple[str, str, str]:
    return row["name"], row["currency"], row["condition"]


def _opened(row: Any, card: int) -> Iterator[tuple[Place, Quote]]:
    """The wanted days of a tile."""
    wanted = set(row["days"])
    days, cents = tiles.of_card(row["day"], row["tile"], card)
    for number, prices in zip(days.tolist(), cents.tolist(), strict=True):
        day = wire.day_of(number)
        if day in wanted:
            quote = Quote(day, *_whose(row), *quotes.plain(prices))
            yield (day, row["source"]), quote
