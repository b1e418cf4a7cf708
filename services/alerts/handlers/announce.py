"""The event that tells of a firing."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from libs.api.wire import resource_name, stamp
from pq.alerts.v1 import alerts_events_pb2 as events
from pq.common.v1 import money_pb2
from services.alerts.domain import money
from services.alerts.domain.alerts import Firing
from services.alerts.domain.evaluation import Change
from services.alerts.domain.reasons import change_percent
from services.alerts.store.evaluation import Candidate


def money_pb(currency: str, value: int | None) -> money_pb2.Money | None:
    """Hundredths on the wire; None stays None, which leaves a field unset."""
    if value is None:
        return None
    return money_pb2.Money(currency_code=currency, amount=money.decimal(currency, value))


# Thousands of firings come of one batch: they share these, and a message copies what it is given.
@lru_cache(maxsize=256)
def _stamp(moment: datetime) -> Timestamp:
    return stamp(moment)


@lru_cache(maxsize=4096)
def _account_name(account: UUID) -> str:
    return resource_name("accounts", "acc", account)


def triggered(
    candidate: Candidate, change: Change, firing: Firing, accept_time: datetime
) -> events.AlertTriggered:
    """What the recipient's channels are told."""
    condition = candidate.rule.condition
    within = candidate.deliver_within
    level = condition.value if condition.kind.is_level else None
    return events.AlertTriggered(
        recipient=_account_name(candidate.account),
        alert=resource_name("alerts", "alr", candidate.alert),
        card=f"cards/{change.card}",
        card_display_name=candidate.card_name,
        kind=condition.kind.public,
        threshold=money_pb(change.currency, level),
        percent=condition.percent,
        day=firing.day.isoformat(),
        price=money_pb(change.currency, firing.price),
        previous_price=money_pb(change.currency, firing.previous),
        previous_day=firing.previous_day.isoformat() if firing.previous_day else "",
        change_percent=change_percent(change),
        reason=firing.reason,
        note=candidate.note,
        # "import" is a keyword of Python's.
        **{"import": firing.import_name},
        accept_time=_stamp(accept_time),
        fire_time=_stamp(firing.fire_time),
        deliver_by=_stamp(accept_time + within) if within is not None else None,
    )
