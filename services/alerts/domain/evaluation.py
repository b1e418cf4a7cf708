"""When an alert fires: the definition.

`decide` says it of one rule and one price change. The store finds, by set, every rule that a change
could mean something to; `decide` has the last word on each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import NamedTuple

from services.alerts.domain.conditions import Condition


class Change(NamedTuple):
    """A card's market price of one day, beside the one known before; prices are in hundredths.

    `price` is None where a correction took it away; `previous` and `previous_day` are None on a
    card's first price.
    """

    card: str
    currency: str
    day: date
    price: int | None
    previous: int | None = None
    previous_day: date | None = None
    corrects: bool = False


class Hold(NamedTuple):
    """On which day a percentage was last reached, and on which it was before that.

    Two days, because the newest day can be corrected: the one before must be known again then.
    """

    day: date | None = None
    before: date | None = None

    def earlier_than(self, day: date) -> date | None:
        """The last holding day as it was before `day` was looked at."""
        return self.before if self.day == day else self.day

    def after(self, day: date, *, reached: bool) -> Hold:
        """The state once `day` has been looked at; a day older than the last changes nothing."""
        if self.day is not None and self.day > day:
            return self
        if reached:
            return Hold(day, self.earlier_than(day))
        return Hold(self.before) if self.day == day else self


NEVER = Hold()


@dataclass(frozen=True, slots=True)
class Rule:
    """What decides about an alert, besides the price.

    `active` is whether it watches, and did when the market accepted the price.
    """

    condition: Condition
    active: bool = True
    snoozed_until: datetime | None = None
    hold: Hold = NEVER


class Outcome(Enum):
    """What a change means for a rule."""

    QUIET = "quiet"
    KEPT = "kept"  # a percentage that has been reached since the known price before
    SNOOZED = "snoozed"  # would have fired
    FIRES = "fires"


class Decision(NamedTuple):
    """What a change means for a rule, and the rule's state from then on."""

    outcome: Outcome
    hold: Hold


def decide(rule: Rule, change: Change, now: datetime) -> Decision:
    """What `change` means for `rule` at `now`.

    A level fires when it holds for the new price and did not for the previous one. A percentage
    fires when the move reaches it, unless it was reached on the previous known day too.
    """
    condition = rule.condition
    if not rule.active:
        return Decision(Outcome.QUIET, rule.hold)
    if condition.kind.is_level:
        crossed = (
            condition.currency == change.currency
            and condition.holds(change.price)
            and not condition.holds(change.previous)
        )
        return Decision(_loud(rule, now) if crossed else Outcome.QUIET, rule.hold)
    reached = condition.reached(change.price, change.previous)
    hold = rule.hold.after(change.day, reached=reached)
    if not reached:
        return Decision(Outcome.QUIET, hold)
    kept_since = rule.hold.earlier_than(change.day)
    if kept_since is not None and kept_since == change.previous_day:
        return Decision(Outcome.KEPT, hold)
    return Decision(_loud(rule, now), hold)


def _loud(rule: Rule, now: datetime) -> Outcome:
    snoozed = rule.snoozed_until is not None and now < rule.snoozed_until
    return Outcome.SNOOZED if snoozed else Outcome.FIRES
