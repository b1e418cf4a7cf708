"""When an alert fires."""

from datetime import UTC, date, datetime, timedelta

from services.alerts.domain.conditions import Condition, Kind
from services.alerts.domain.evaluation import Change, Hold, Outcome, Rule, decide
from services.alerts.domain.reasons import change_percent, reason

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
DAY = date(2025, 6, 1)
ABOVE = Condition(Kind.PRICE_ABOVE, 1000, "USD")
BELOW = Condition(Kind.PRICE_BELOW, 1000, "USD")
TENTH = Condition(Kind.MOVE, 100_000)


def change(price, previous, day=DAY, gap=1, **more):
    before = None if previous is None else day - timedelta(gap)
    return Change("c", "USD", day, price, previous, before, **more)


def outcome(condition, price, previous, **rule):
    return decide(Rule(condition, **rule), change(price, previous), NOW).outcome


def test_a_level_fires_when_it_is_crossed_and_at_no_other_time():
    assert outcome(ABOVE, 1000, 999) is Outcome.FIRES
    assert outcome(ABOVE, 1200, 1000) is Outcome.QUIET
    assert outcome(ABOVE, 999, 1200) is Outcome.QUIET
    assert outcome(BELOW, 1000, 1001) is Outcome.FIRES
    assert outcome(BELOW, 900, 1000) is Outcome.QUIET


def test_a_first_price_can_cross():
    assert outcome(ABOVE, 1000, None) is Outcome.FIRES
    assert outcome(BELOW, 1000, None) is Outcome.FIRES


def test_a_price_that_was_taken_away_fires_nothing():
    for condition in (ABOVE, BELOW, TENTH):
        assert outcome(condition, None, 5000) is Outcome.QUIET


def test_another_currency_is_not_compared():
    assert outcome(Condition(Kind.PRICE_ABOVE, 1000, "EUR"), 1000, 999) is Outcome.QUIET


def test_an_inactive_rule_is_quiet_and_keeps_its_state():
    hold = Hold(DAY - timedelta(9))
    decision = decide(Rule(TENTH, active=False, hold=hold), change(200, 100), NOW)
    assert (decision.outcome, decision.hold) == (Outcome.QUIET, hold)


def test_a_snoozed_rule_drops_what_would_have_fired_until_its_time():
    assert outcome(ABOVE, 1000, 999, snoozed_until=NOW + timedelta(seconds=1)) is Outcome.SNOOZED
    assert outcome(ABOVE, 1000, 999, snoozed_until=NOW) is Outcome.FIRES


def test_a_percentage_is_quiet_while_it_keeps_being_reached():
    rule, told = Rule(TENTH), []
    path = [(100, 120), (120, 150), (150, 151), (151, 200)]
    for step, (previous, price) in enumerate(path):
        decision = decide(rule, change(price, previous, DAY + timedelta(step)), NOW)
        told.append(decision.outcome)
        rule = Rule(TENTH, hold=decision.hold)
    assert told == [Outcome.FIRES, Outcome.KEPT, Outcome.QUIET, Outcome.FIRES]


def test_a_known_price_that_did_not_move_re_arms_a_percentage():
    # The day between had a price, the same: no change came of it, but it is the previous day.
    held = Rule(TENTH, hold=Hold(DAY - timedelta(2)))
    assert decide(held, change(120, 100, gap=1), NOW).outcome is Outcome.FIRES
    assert decide(held, change(120, 100, gap=2), NOW).outcome is Outcome.KEPT


def test_a_correction_that_still_reaches_it_stays_quiet():
    yesterday = DAY - timedelta(1)
    rule = Rule(TENTH, hold=Hold(yesterday))
    first = decide(rule, change(120, 100), NOW)
    second = decide(Rule(TENTH, hold=first.hold), change(130, 100, corrects=True), NOW)
    assert (first.outcome, second.outcome) == (Outcome.KEPT, Outcome.KEPT)
    assert second.hold == Hold(DAY, yesterday)


def test_a_correction_that_no_longer_reaches_it_re_arms():
    wrong = decide(Rule(TENTH), change(120, 100), NOW)
    right = decide(Rule(TENTH, hold=wrong.hold), change(101, 100, corrects=True), NOW)
    assert right.hold == Hold()
    next_day = change(120, 101, DAY + timedelta(1))
    assert decide(Rule(TENTH, hold=right.hold), next_day, NOW).outcome is Outcome.FIRES


def test_the_reason_has_the_values_that_decided():
    assert reason(ABOVE, change(1250, 900)) == (
        "The price rose to 12.50 USD on 2025-06-01, at or above 10.00 USD;"
        " it was 9.00 USD on 2025-05-31."
    )
    assert reason(BELOW, change(700, None)) == (
        "The first known price, 7.00 USD on 2025-06-01, is at or below 10.00 USD."
    )
    assert reason(Condition(Kind.MOVE, 123_400), change(75, 100)) == (
        "The price fell by 25.00 % to 0.75 USD on 2025-06-01, at least 12.34 %;"
        " it was 1.00 USD on 2025-05-31."
    )


def test_the_change_in_percent_is_unset_where_there_is_none():
    assert change_percent(change(150, 100)) == 50.0
    assert change_percent(change(150, None)) is None
    assert change_percent(change(150, 0)) is None
