"""Evaluation by set: a few statements for a whole batch of price changes, however many rules.

There is no copy of the rules in memory and nothing to keep in step between replicas: a rule that is
committed is in the index that the next statement reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg

from libs.db import Tx
from services.alerts.domain.alerts import Firing
from services.alerts.domain.conditions import MAX_SCALED, WHOLE, Condition, Kind
from services.alerts.domain.evaluation import Hold, Rule
from services.alerts.domain.money import MAX_HUNDREDTHS

LARGE = 1000


class Priced(NamedTuple):
    """A card's price, as far as finding rules needs it; prices are in hundredths."""

    card: str
    source: str
    day: date
    version: int
    price: int | None
    previous: int | None
    corrects: bool


class Candidate(NamedTuple):
    """A rule that a change may mean something to, with what its announcement needs.

    `at` is the place of the change in the list that was asked about. Prices that were accepted
    before `watch_time` are no news to the rule. `card_name` is what people call the card; may be
    empty.
    """

    at: int
    alert: UUID
    account: UUID
    note: str
    deliver_within: timedelta | None
    watch_time: datetime
    rule: Rule
    card_name: str = ""


async def plan_for(tx: Tx, changes: int) -> None:
    """Has the next statements planned for so many changes.

    A prepared statement may settle on a generic plan, which takes an array for ten elements; the
    planning that this saves is nothing beside a large batch.
    """
    if changes >= LARGE:
        await tx.execute("set local plan_cache_mode = force_custom_plan")


# The cards move to their new prices: those that are watched, and not past that day and version
# already. A message can come late, when a dead letter is handled again.
_MOVED = """
update watched_cards c set source = x.source, day = x.day, version = x.version
from unnest($1::text[], $2::text[], $3::date[], $4::int[], $5::bigint[], $6::bigint[], $7::bool[])
    with ordinality x (name, source, day, version, price, previous, corrects, at)
where c.name = x.name and (c.day is null or c.source is distinct from x.source
    or (x.day, x.version) >= (c.day, c.version))
returning x.at, c.id as card, x.price, x.previous, x.corrects, c.display_name
"""

# The greatest share that a move reaches: Condition.reached() solved for its value, without
# rounding. A correction takes all, for a rule that the wrong price reached may not be reached now.
_REACH = f"""
select *, case when corrects then {MAX_SCALED}
    when previous > 0 and price <> previous
    then least(div(abs(price - previous)::numeric * {WHOLE}, previous), {MAX_SCALED})::int
    end as most
from moved
"""

# Each change is a few ranges of the rule index. The lateral read of alerts cannot be flattened:
# one descent of the index a range, whatever the planner believes about the number of rules.
_CANDIDATES = f"""
with moved as ({_MOVED}), reach as materialized ({_REACH})
select r.at, a.id, a.account, a.kind, a.value, a.currency, a.note, a.deliver_within, a.watch_time,
    a.snooze_time, h.day as hold_day, h.before as hold_before, r.display_name
from reach r
cross join lateral (values
    ({Kind.PRICE_ABOVE:d}, coalesce(r.previous, 0) + 1, r.price),
    ({Kind.PRICE_BELOW:d}, r.price, coalesce(r.previous - 1, {MAX_HUNDREDTHS})),
    ({Kind.MOVE:d}, 1, r.most),
    ({Kind.MOVE_UP:d}, 1, case when r.corrects or r.price > r.previous then r.most end),
    ({Kind.MOVE_DOWN:d}, 1, case when r.corrects or r.price < r.previous then r.most end)
) p (kind, low, high)
cross join lateral (
    select * from alerts a where p.low <= p.high
    and a.active and a.card = r.card and a.kind = p.kind and a.value between p.low and p.high
    offset 0
) a
left join holds h on h.alert = a.id
"""


async def candidates(tx: Tx, priced: Sequence[Priced]) -> list[Candidate]:
    """Moves cards to these prices, and answers the active rules that this may mean something to.

    Each card occurs once. Left out are cards that nobody watches, and prices older than a card's.
    """
    rows = await tx.fetch(_CANDIDATES, *zip(*priced, strict=True))
    return [_candidate(row) for row in rows]


async def record(tx: Tx, firings: Sequence[Firing]) -> set[UUID]:
    """Writes firings, each alert's at most once; answers the alerts that are new for their day."""
    rows = await tx.fetch(
        "insert into firings (alert, day, number, currency, price, previous_price, previous_day,"
        " reason, import, fire_time)"
        " select x.alert, x.day, coalesce((select f.number from firings f where f.alert = x.alert"
        " order by f.day desc limit 1), 0) + 1, x.currency, x.price, x.previous, x.previous_day,"
        " x.reason, x.import, x.fire_time"
        " from unnest($1::uuid[], $2::date[], $3::text[], $4::bigint[], $5::bigint[],"
        " $6::date[], $7::text[], $8::text[], $9::timestamptz[]) x (alert, day, currency, price,"
        " previous, previous_day, reason, import, fire_time)"
        " on conflict (alert, day) do nothing returning alert",
        [firing.alert for firing in firings],
        [firing.day for firing in firings],
        [firing.currency for firing in firings],
        [firing.price for firing in firings],
        [firing.previous for firing in firings],
        [firing.previous_day for firing in firings],
        [firing.reason for firing in firings],
        [firing.import_name for firing in firings],
        [firing.fire_time for firing in firings],
    )
    return {row["alert"] for row in rows}


async def save_holds(tx: Tx, holds: Mapping[UUID, Hold]) -> None:
    """Writes on which days percentages were reached."""
    await tx.execute(
        "insert into holds (alert, day, before) select * from"
        " unnest($1::uuid[], $2::date[], $3::date[])"
        " on conflict (alert) do update set day = excluded.day, before = excluded.before",
        list(holds),
        [hold.day for hold in holds.values()],
        [hold.before for hold in holds.values()],
    )


def _candidate(row: asyncpg.Record) -> Candidate:
    condition = Condition(Kind(row["kind"]), row["value"], row["currency"])
    hold = Hold(row["hold_day"], row["hold_before"])
    return Candidate(
        at=row["at"] - 1,
        alert=row["id"],
        account=row["account"],
        note=row["note"],
        deliver_within=row["deliver_within"],
        watch_time=row["watch_time"],
        rule=Rule(condition, active=True, snoozed_until=row["snooze_time"], hold=hold),
        card_name=row["display_name"] or "",
    )
