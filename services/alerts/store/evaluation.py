"""Evaluation by set: a few statements for a whole batch of price changes, however many rules.

There is no copy of the rules in memory and nothing to keep in step between replicas: a rule that is
committed is in the index that the next statement reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg

from libs.db import Reader, Tx
from services.alerts.domain.alerts import Firing
from services.alerts.domain.conditions import Condition, Kind
from services.alerts.domain.evaluation import Hold, Rule

LARGE = 1000


class Version(NamedTuple):
    """Which price a card is at: whose, of which day, in which version of that day."""

    card: str
    source: str
    day: date
    version: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that a change may mean something to, with what its announcement needs.

    `at` is the place of the change in the list that was asked about. Prices that were accepted
    before `watch_time` are no news to the rule.
    """

    at: int
    alert: UUID
    account: UUID
    note: str
    deliver_within: timedelta | None
    watch_time: datetime
    rule: Rule


async def plan_for(tx: Tx, changes: int) -> None:
    """Has the next statements planned for so many changes.

    A prepared statement may settle on a generic plan, which takes an array for ten elements; the
    planning that this saves is nothing beside a large batch.
    """
    if changes >= LARGE:
        await tx.execute("set local plan_cache_mode = force_custom_plan")


async def advance(tx: Tx, versions: Sequence[Version]) -> dict[int, int]:
    """Notes that cards are at these prices: {place in `versions`: the card's key}.

    Left out are cards that nobody watches, and those that are past that day or version already: a
    message can come late, when a dead letter is handled again. Each card occurs once.
    """
    rows = await tx.fetch(
        "update watched_cards c set source = x.source, day = x.day, version = x.version"
        " from unnest($1::text[], $2::text[], $3::date[], $4::int[])"
        " with ordinality x (name, source, day, version, at)"
        " where c.name = x.name and (c.day is null or c.source is distinct from x.source"
        " or (x.day, x.version) >= (c.day, c.version))"
        " returning x.at, c.id",
        *zip(*versions, strict=True),
    )
    return {row["at"] - 1: row["id"] for row in rows}


class Asked(NamedTuple):
    """A range of one card's rules; `at` is the place of the change in its list."""

    at: int
    card: int
    kind: int
    low: int
    high: int


async def candidates(reader: Reader, asked: Sequence[Asked]) -> list[Candidate]:
    """The active rules in these ranges."""
    rows = await reader.fetch(
        "select p.at, a.id, a.account, a.kind, a.value, a.currency, a.note, a.deliver_within,"
        " a.watch_time, a.snooze_time, h.day as hold_day, h.before as hold_before"
        " from unnest($1::text::int[], $2::text::int[], $3::text::smallint[], $4::text::int[],"
        " $5::text::int[])"
        " p (at, card, kind, low, high)"
        # A lateral read that cannot be flattened: one descent of the index a range, whatever the
        # planner believes about the number of rules.
        " cross join lateral (select * from alerts a where a.active and a.card = p.card"
        " and a.kind = p.kind and a.value between p.low and p.high offset 0) a"
        " left join holds h on h.alert = a.id",
        *map(_literal, zip(*asked, strict=True)),
    )
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


def _literal(numbers: Sequence[int]) -> str:
    """An array as text: asyncpg takes ten times as long to encode it, in the event loop."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _candidate(row: asyncpg.Record) -> Candidate:
    condition = Condition(Kind(row["kind"]), row["value"], row["currency"])
    hold = Hold(row["hold_day"], row["hold_before"])
    return Candidate(
        at=row["at"],
        alert=row["id"],
        account=row["account"],
        note=row["note"],
        deliver_within=row["deliver_within"],
        watch_time=row["watch_time"],
        rule=Rule(condition, active=True, snoozed_until=row["snooze_time"], hold=hold),
    )
