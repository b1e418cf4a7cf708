"""Evaluation by set: a few statements for a whole batch of price changes, however many rules.

There is no copy of the rules in memory and nothing to keep in step between replicas: a rule that is
committed is in the index that the next statement reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import asyncpg

from libs.db import Reader, Tx
from services.alerts.domain.alerts import Firing
from services.alerts.domain.conditions import Condition, Kind
from services.alerts.domain.evaluation import Hold, Probe, Rule


@dataclass(frozen=True, slots=True)
class Version:
    """Which price a card is at: whose, of which day, in which version of that day."""

    card: str
    source: str
    day: date
    version: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that a change may mean something to, with what its announcement needs.

    `at` is the place of the change in the list that was asked about.
    """

    at: int
    alert: UUID
    account: UUID
    note: str
    deliver_within: timedelta | None
    rule: Rule


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
        [version.card for version in versions],
        [version.source for version in versions],
        [version.day for version in versions],
        [version.version for version in versions],
    )
    return {row["at"] - 1: row["id"] for row in rows}


@dataclass(frozen=True, slots=True)
class Asked:
    """A range of one card's rules: those that watched already when the price was accepted.

    `at` is the place of the change in its list.
    """

    at: int
    card: int
    probe: Probe
    accept_time: datetime


async def candidates(reader: Reader, asked: Sequence[Asked]) -> list[Candidate]:
    """The active rules in these ranges."""
    rows = await reader.fetch(
        "select p.at, a.id, a.account, a.kind, a.value, a.currency, a.note, a.deliver_within,"
        " a.snooze_time, a.hold_day, a.hold_before"
        " from unnest($1::int[], $2::int[], $3::smallint[], $4::int[], $5::int[],"
        " $6::timestamptz[]) p (at, card, kind, low, high, accepted)"
        # A lateral read that cannot be flattened: one descent of the index a range, whatever the
        # planner believes about the number of rules.
        " cross join lateral (select * from alerts a where a.active and a.card = p.card"
        " and a.kind = p.kind and a.value between p.low and p.high"
        " and a.watch_time <= p.accepted offset 0) a",
        [one.at for one in asked],
        [one.card for one in asked],
        [one.probe.kind for one in asked],
        [one.probe.low for one in asked],
        [one.probe.high for one in asked],
        [one.accept_time for one in asked],
    )
    return [_candidate(row) for row in rows]


async def record(tx: Tx, firings: Sequence[Firing]) -> set[UUID]:
    """Writes firings, each alert's at most once; answers the alerts that are new for their day."""
    rows = await tx.fetch(
        "with fired as (insert into firings (alert, day, currency, price, previous_price,"
        " previous_day, reason, import, fire_time)"
        " select * from unnest($1::uuid[], $2::date[], $3::text[], $4::bigint[], $5::bigint[],"
        " $6::date[], $7::text[], $8::text[], $9::timestamptz[])"
        " on conflict (alert, day) do nothing returning alert, fire_time)"
        " update alerts a set fire_count = a.fire_count + 1, last_fire_time = fired.fire_time"
        " from fired where a.id = fired.alert returning a.id",
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
    return {row["id"] for row in rows}


async def save_holds(tx: Tx, holds: Mapping[UUID, Hold]) -> None:
    """Writes on which days percentages were reached."""
    await tx.execute(
        "update alerts a set hold_day = x.day, hold_before = x.before"
        " from unnest($1::uuid[], $2::date[], $3::date[]) x (id, day, before) where a.id = x.id",
        list(holds),
        [hold.day for hold in holds.values()],
        [hold.before for hold in holds.values()],
    )


def _candidate(row: asyncpg.Record) -> Candidate:
    condition = Condition(Kind(row["kind"]), row["value"], row["currency"])
    hold = Hold(row["hold_day"], row["hold_before"])
    return Candidate(
        at=row["at"],
        alert=row["id"],
        account=row["account"],
        note=row["note"],
        deliver_within=row["deliver_within"],
        rule=Rule(condition, active=True, snoozed_until=row["snooze_time"], hold=hold),
    )
