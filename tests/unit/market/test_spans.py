"""Histories in spans, and what sets cost: against plain loops."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.market.domain.completion import CHEAPEST, Priced, completions
from services.market.domain.spans import Interval, spans

START = date(2024, 12, 27)
QUOTES = st.dictionaries(
    st.integers(-5, 90),
    st.tuples(st.none() | st.integers(1, 999), st.none() | st.integers(1, 999)),
).map(lambda found: [(START + timedelta(days=n), *found[n]) for n in sorted(found)])


@given(QUOTES, st.sampled_from(Interval), st.integers(0, 80))
def test_spans_cover_every_day_once_and_say_what_was_quoted(quotes, interval, days):
    end = START + timedelta(days=days)
    found = spans(quotes, interval, START, end)
    covered = [
        one.start + timedelta(days=n)
        for one in found
        for n in range((one.end - one.start).days + 1)
    ]
    assert covered == [START + timedelta(days=n) for n in range(days + 1)]
    for one in found:
        inside = [q for q in quotes if one.start <= q[0] <= one.end]
        prices = [market for _, market, _ in inside if market is not None]
        lows = [low for *_, low in inside if low is not None]
        assert one.quoted_days == len(prices)
        assert (one.first, one.last) == ((prices[0], prices[-1]) if prices else (None, None))
        assert (one.least, one.most) == ((min(prices), max(prices)) if prices else (None, None))
        assert one.low == (lows[-1] if lows else None)
        if interval is Interval.MONTH:
            assert one.start.month == one.end.month
        if interval is Interval.WEEK:
            assert one.start.isocalendar()[:2] == one.end.isocalendar()[:2]


PRINTINGS = st.lists(
    st.builds(
        Priced,
        st.integers(1, 6),
        st.sampled_from(["Normal", "Holofoil", "Reverse"]),
        st.none() | st.integers(1, 999),
        st.none(),
    ),
    unique_by=lambda one: (one.product, one.printing),
)


@given(PRINTINGS)
def test_the_cheapest_choice_takes_each_product_once(members):
    cheapest, *rest = completions(members)
    assert cheapest.printing == CHEAPEST
    products = {one.product for one in members}
    assert len(cheapest.priced) + cheapest.unknown == len(products)
    for one in cheapest.priced:
        prices = [m.market for m in members if m.product == one.product and m.market is not None]
        assert one.market == min(prices)
    for one in rest:
        of_it = [m for m in members if m.printing == one.printing]
        assert one.market == sum(m.market or 0 for m in of_it)
        assert one.unknown == sum(m.market is None for m in of_it)
