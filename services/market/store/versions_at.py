"""Quotes as a version of their day had them: later corrections taken back."""

from __future__ import annotations

from datetime import date

import numpy as np

from libs.db import Reader
from services.market.domain import months
from services.market.domain.prices import FIELDS
from services.market.domain.quotes import Quote
from services.market.domain.tiles import CARDS
from services.market.store import quotes, tiles, wire

# What the first later correction replaced, or what stands where none came. One statement, so that
# a correction that commits meanwhile is seen whole or not at all.
_QUOTE = f"""
with place as (select source, name, currency, condition from sources where name = $2),
replaced as (
    select c.old from corrections c join place using (source)
    where c.card = $1 and c.day = $3 and c.to_version > $4
    order by c.to_version limit 1
)
select name, currency, condition, old, null::bytea[] as tile
from replaced cross join place where old is not null
union all
select name, currency, condition, array[{", ".join(FIELDS)}], null
from quotes join place using (source)
where card = $1 and day = $3 and not exists (select from replaced)
union all
select name, currency, condition, null, array[{", ".join(FIELDS)}]
from quote_tiles join place using (source)
where first_card = $1 - $1 % {CARDS} and month = $5
    and not exists (select from replaced)
"""


async def quote(reader: Reader, card: int, source: str, day: date, version: int) -> Quote | None:
    """A card's quote in one version of a day that is there; None where the version has none."""
    month = months.month_of(day)
    row = await reader.fetchrow(_QUOTE, card, source, day, version, month)
    if row is None:
        return None
    prices = row["old"]
    if row["tile"] is not None:
        days, cents = tiles.of_card(month, row["tile"], card)
        [there] = np.nonzero(days == wire.day_number(day))
        if not len(there):
            return None
        prices = quotes.plain(cents[there[0]].tolist())
    return Quote(day, row["name"], row["currency"], row["condition"], *prices)
