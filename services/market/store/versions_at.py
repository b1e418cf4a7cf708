"""Quotes as a version of their day had them: later corrections taken back."""

from __future__ import annotations

from datetime import date

from libs.db import Reader
from services.market.domain.quotes import Quote

# What the first later correction replaced, or what stands where none came. One statement, so that
# a correction that commits meanwhile is seen whole or not at all.
_QUOTE = """
with place as (select source, name, currency from sources where name = $2),
replaced as (
    select c.old from corrections c join place using (source)
    where c.card = $1 and c.day = $3 and c.to_version > $4
    order by c.to_version limit 1
)
select name, currency, old[1], old[2], old[3], old[4], old[5]
from replaced cross join place where old is not null
union all
select name, currency, q.market, q.low, q.mid, q.high, q.direct_low
from quotes q join place using (source)
where q.card = $1 and q.day = $3 and not exists (select from replaced)
"""


async def quote(reader: Reader, card: int, source: str, day: date, version: int) -> Quote | None:
    """A card's quote in one version of a day that is there; None where the version has none."""
    row = await reader.fetchrow(_QUOTE, card, source, day, version)
    return None if row is None else Quote(day, *row)
