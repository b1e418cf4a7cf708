"""One card's history, whatever form its months are stored in.

Open months are rows. When older months are sealed into a closer form, they are read here too, and
nobody else knows.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Protocol

from libs.api import filters
from libs.db import Reader
from services.market.domain.quotes import Quote

FILTERS = {"day": filters.day("q.day"), "source": filters.text("s.name")}

# A place in a history: its day, and the source's number.
Place = tuple[date, int]


class History(Protocol):
    """Reads the quotes of one card across sources."""

    async def page(
        self,
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
        ...


class RowHistory:
    """History in rows: one index range, for the key of `quotes` starts with (card, day)."""

    async def page(
        self,
        reader: Reader,
        card: int,
        where: filters.Where,
        after: Place | None,
        limit: int,
        *,
        descending: bool,
    ) -> tuple[list[Quote], Place | None]:
        """See `History.page`."""
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
        rows = await reader.fetch(
            "select q.day, s.name, s.currency, q.market, q.low, q.mid, q.high, q.direct_low,"
            " q.source from quotes q join sources s on s.source = q.source"
            f" where q.card = $1 and {where.sql}{keyset}"
            f" order by q.day {direction}, q.source {direction} limit $2",
            card,
            limit + 1,
            *params,
        )
        last = rows[limit - 1] if len(rows) > limit else None
        place = None if last is None else (last["day"], last["source"])
        return [_quote(row) for row in rows[:limit]], place


def _quote(row: Any) -> Quote:
    return Quote(*row[:8])
