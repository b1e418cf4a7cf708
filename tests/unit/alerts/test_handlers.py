"""Grouping of changes, reading of events, and what is remembered of the market."""

from datetime import UTC, date, datetime

import pytest

from libs.errors import AppError, Kind
from libs.ids import derive
from pq.market.v1 import market_events_pb2 as events
from pq.market.v1 import market_pb2 as market
from services.alerts import consumer
from services.alerts import market as client
from services.alerts.domain.alerts import Alert
from services.alerts.domain.conditions import Condition
from services.alerts.domain.conditions import Kind as ConditionKind
from services.alerts.domain.evaluation import Change
from services.alerts.handlers.evaluate import News, event_id, groups

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


def news(card, day):
    return News(Change(card, "USD", date(2025, 6, day), 1), "s", 1, "imports/i", NOW)


def test_a_card_is_in_a_group_once_and_order_is_kept():
    items = [news("a", 1), news("b", 1), news("a", 2), news("c", 1), news("a", 3)]
    cut = list(groups(items))
    assert [[(n.change.card, n.change.day.day) for n in group] for group in cut] == [
        [("a", 1), ("b", 1), ("c", 1)],
        [("a", 2)],
        [("a", 3)],
    ]


def test_groups_are_bounded():
    assert [len(group) for group in groups([news(f"c{n}", 1) for n in range(7)], limit=3)] == [
        3,
        3,
        1,
    ]
    assert list(groups([])) == []


def test_an_announcement_has_the_id_that_follows_from_alert_and_day(ids):
    alert = ids.uuid()
    expected = derive(derive(alert, "2025-06-01"), "triggered")
    assert event_id(alert, date(2025, 6, 1)) == expected
    assert event_id(alert, date(2025, 6, 2)) != expected


def event(**more):
    values = {
        "shard": 3,
        "source": "tcgplayer",
        "currency_code": "USD",
        "day": "2025-06-01",
        "version": 2,
        "mode": market.MODE_LIVE,
        "newest": True,
        "changes": [events.PriceChange(card="a", price=10)],
    }
    made = events.PricesChanged(**(values | more))
    made.accept_time.FromDatetime(NOW)
    return made


def test_news_is_what_is_newest_and_live_or_corrected():
    assert [item.change.price for item in consumer.read(event())] == [10]
    corrected = list(consumer.read(event(mode=market.MODE_CORRECTION)))
    assert corrected[0].change.corrects
    assert not list(consumer.read(event(mode=market.MODE_BACKFILL)))
    assert not list(consumer.read(event(newest=False)))


def test_an_unset_price_is_unknown_and_not_zero():
    gone = events.PriceChange(card="a", previous_price=5, previous_day="2025-05-30")
    (item,) = consumer.read(event(changes=[gone]))
    assert (item.change.price, item.change.previous) == (None, 5)
    assert item.change.previous_day == date(2025, 5, 30)


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"day": "yesterday"}, "day"),
        ({"changes": [events.PriceChange(card="a", price=-1)]}, "changes.price"),
        (
            {"changes": [events.PriceChange(card="a", price=1, previous_price=1)]},
            "changes.previous_day",
        ),
    ],
)
def test_an_event_that_breaks_its_contract_is_refused(fault, field):
    with pytest.raises(AppError) as caught:
        list(consumer.read(event(**fault)))
    assert caught.value.kind is Kind.INVALID
    assert caught.value.violations[0].field == field


class Market:
    """Answers GetCard from a table; an AppError in it is raised."""

    def __init__(self, **cards):
        self.cards = cards
        self.asked = []

    async def GetCard(self, request, timeout=None):  # noqa: N802
        self.asked.append(request.name)
        found = self.cards[request.name.removeprefix("cards/")]
        if isinstance(found, AppError):
            raise found
        card = market.Card(name=request.name, display_name=f"The {request.name}")
        if found:
            card.headline.currency_code = found
        return card


async def test_a_known_card_is_remembered_for_a_while(clock):
    there = Market(a="USD")
    cards = client.MarketCards(there, clock)
    assert cards.display_name("a") == ""
    assert [await cards.currency("a") for _ in range(3)] == ["USD"] * 3
    assert cards.display_name("a") == "The cards/a"
    clock.advance(client.LIFETIME)
    await cards.currency("a")
    assert there.asked == ["cards/a"] * 2


async def test_what_is_remembered_is_bounded_and_the_least_used_goes(clock):
    there = Market(a="USD", b="USD", c="USD")
    cards = client.MarketCards(there, clock, capacity=2)
    for card in "abacac":
        await cards.currency(card)
    assert there.asked == ["cards/a", "cards/b", "cards/c"]


async def test_a_card_without_a_quote_is_asked_for_again(clock):
    there = Market(a=None)
    cards = client.MarketCards(there, clock)
    assert [await cards.currency("a") for _ in range(2)] == [None, None]
    assert len(there.asked) == 2


@pytest.mark.parametrize(
    ("told", "kind", "reason"),
    [
        (Kind.NOT_FOUND, Kind.INVALID, "unknown_card"),
        (Kind.INVALID, Kind.INVALID, "unknown_card"),
        (Kind.UNAVAILABLE, Kind.UNAVAILABLE, "market_unavailable"),
        (Kind.DEADLINE, Kind.UNAVAILABLE, "market_unavailable"),
    ],
)
async def test_what_the_market_cannot_say_is_told(clock, told, kind, reason):
    cards = client.MarketCards(Market(a=AppError(told, "x", "x")), clock)
    with pytest.raises(AppError) as caught:
        await cards.currency("a")
    assert (caught.value.kind, caught.value.reason) == (kind, reason)


async def test_a_fault_of_ours_is_not_called_absence(clock):
    cards = client.MarketCards(Market(a=AppError(Kind.FORBIDDEN, "x", "x")), clock)
    with pytest.raises(AppError) as caught:
        await cards.currency("a")
    assert caught.value.kind is Kind.FORBIDDEN


def test_the_etag_changes_with_every_change(ids):
    one = Alert(
        ids.uuid(), ids.uuid(), "c", Condition(ConditionKind.MOVE, 1), "", None, True, NOW, NOW, NOW
    )
    fired = Alert(**{f: getattr(one, f) for f in one.__slots__} | {"fire_count": 1})
    changed = Alert(**{f: getattr(one, f) for f in one.__slots__} | {"revision": 2})
    assert len({one.etag, fired.etag, changed.etag}) == 3
