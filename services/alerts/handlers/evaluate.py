"""Price changes come in, alerts fire."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from libs.db import Tx
from libs.ids import derive
from services.alerts.domain.alerts import Firing
from services.alerts.domain.evaluation import Change, Hold, Outcome, decide
from services.alerts.domain.reasons import reason
from services.alerts.handlers.announce import triggered
from services.alerts.store import evaluation as store
from services.alerts.store.evaluation import Candidate, Priced

# So many changes go into one round of statements: it bounds the memory and the time of each.
GROUP = 16_384
# After so many rules the event loop gets a turn, so that RPCs are answered meanwhile.
_TURN = 500


class News(NamedTuple):
    """A price change with where it came from."""

    change: Change
    source: str
    version: int
    import_name: str
    accept_time: datetime


@dataclass(slots=True)
class Tally:
    """What came of a batch; `fired` counts by the public kind of condition."""

    changes: int = 0
    candidates: int = 0
    fired: Counter[str] = field(default_factory=Counter)


def firing_id(alert: UUID, day: date) -> UUID:
    """The id of an alert's firing of one day: the same however often it is evaluated."""
    return derive(alert, day.isoformat())


def event_id(alert: UUID, day: date) -> UUID:
    """The id of the event that announces a firing."""
    return derive(firing_id(alert, day), "triggered")


async def evaluate(tx: Tx, news: Iterable[News], now: datetime) -> Tally:
    """Evaluates price changes in their order; writes and publishes what fires.

    All of it is in `tx`: handling the same changes again writes and publishes nothing new.
    """
    tally = Tally()
    for group in groups(news):
        await _evaluate(tx, group, now, tally)
    return tally


def groups(news: Iterable[News], limit: int = GROUP) -> Iterator[list[News]]:
    """Cuts changes into groups in which a card occurs at most once, its changes in order.

    A card's later day must see what its earlier day left behind; different cards are independent,
    so that the first group takes the first change of each card, and so on.
    """
    rounds: list[list[News]] = []
    seen: Counter[str] = Counter()
    for item in news:
        turn = seen[item.change.card]
        seen[item.change.card] += 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(item)
    for group in rounds:
        for start in range(0, len(group), limit):
            yield group[start : start + limit]


async def _evaluate(tx: Tx, group: Sequence[News], now: datetime, tally: Tally) -> None:
    await store.plan_for(tx, len(group))
    found = await store.candidates(tx, [_priced(item) for item in group])
    tally.changes += len(group)
    tally.candidates += len(found)
    holds: dict[UUID, Hold] = {}
    loud: dict[UUID, tuple[Candidate, News, Firing]] = {}
    for count, candidate in enumerate(found):
        if count % _TURN == 0:
            await asyncio.sleep(0)
        item = group[candidate.at]
        if item.accept_time < candidate.watch_time:
            continue
        decision = decide(candidate.rule, item.change, now)
        if decision.hold != candidate.rule.hold:
            holds[candidate.alert] = decision.hold
        if decision.outcome is Outcome.FIRES:
            loud[candidate.alert] = (candidate, item, _firing(candidate, item, now))
    if holds:
        await store.save_holds(tx, holds)
    if loud:
        await _announce(tx, loud, tally)


async def _announce(tx: Tx, loud: dict[UUID, tuple[Candidate, News, Firing]], tally: Tally) -> None:
    """Writes firings and publishes those that are new."""
    new = await store.record(tx, [firing for _, _, firing in loud.values()])
    for count, (alert, (candidate, item, firing)) in enumerate(loud.items()):
        if count % _TURN == 0:
            await asyncio.sleep(0)
        if alert in new:
            event = triggered(candidate, item.change, firing, item.accept_time)
            tx.publish(event, id=event_id(alert, firing.day))
            tally.fired[event.kind] += 1


def _priced(item: News) -> Priced:
    change = item.change
    return Priced(
        change.card,
        item.source,
        change.day,
        item.version,
        change.price,
        change.previous,
        change.corrects,
    )


def _firing(candidate: Candidate, item: News, now: datetime) -> Firing:
    change = item.change
    if change.price is None:
        raise AssertionError("nothing fires without a price")
    return Firing(
        alert=candidate.alert,
        day=change.day,
        currency=change.currency,
        price=change.price,
        previous=change.previous,
        previous_day=change.previous_day,
        reason=reason(candidate.rule.condition, change),
        fire_time=now,
        import_name=item.import_name,
    )
