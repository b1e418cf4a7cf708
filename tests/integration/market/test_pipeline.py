"""Days become published versions with their signals: once, whole, and again when corrected."""

import asyncio
import math
from datetime import date, timedelta

import numpy as np
import pytest

from libs.api.paging import PageTokens
from libs.auth import ANONYMOUS, Role
from libs.errors import AppError, Kind
from libs.testing.rpc import operator, serving
from pq.market.v1 import analytics_pb2 as pb
from pq.market.v1 import analytics_pb2_grpc, pipeline_pb2_grpc
from pq.market.v1 import pipeline_pb2 as pipe
from pq.market.v1.anomalies_events_pb2 import AnomalyDetected
from services.market.analytics import signals
from services.market.domain.pipeline import KEPT_DAYS
from services.market.handlers.pipeline.runner import Runner
from services.market.handlers.reading import Reading
from services.market.handlers.steps import steps
from services.market.servicer.analytics import AnalyticsServicer
from services.market.servicer.pipeline import PipelineServicer
from services.market.store.panels import Panels
from tests.integration.market.world import HEADING, card, row

FIRST = date(2025, 3, 1)
CARDS = range(1, 31)


class Broken:
    name = "broken"
    code_version = "broken-1"
    fails = True

    async def __call__(self, _tx, _day, _panels):
        if self.fails:
            raise ArithmeticError("no number")
        return {}


def runner(world, *more):
    return Runner(world.db, world.clock, Panels(world.db), [*steps(), *more], timedelta(0))


@pytest.fixture(scope="module")
def walk():
    """Cents of cards by day: most quotes stay, some move."""
    dice = np.random.default_rng(5)
    moves = dice.normal(0, 0.05, (len(CARDS), 50)) * (dice.random((len(CARDS), 50)) < 0.4)
    return np.round(1500 * np.exp(np.cumsum(moves, axis=1))).astype(int)


def day_of(number):
    return (FIRST + timedelta(days=number)).isoformat()


def quoted(walk, number, **changed):
    return {n: f"{changed.get(str(n), walk[n - 1, number]) / 100:.2f}" for n in CARDS}


def with_lows(walk, number, **changed):
    """A day whose lowest asks are the walk's prices, whatever was changed."""
    markets = quoted(walk, number, **changed)
    lines = [
        row(day_of(number), n, markets[n], low=f"{walk[n - 1, number] / 100:.2f}") for n in CARDS
    ]
    return ("\r\n".join([HEADING, *lines]) + "\r\n").encode()


async def history(world, walk, count, first=0):
    for number in range(first, first + count):
        await world.day(day_of(number), quoted(walk, number))


async def drain(pipeline):
    count = 0
    while await pipeline.run_once():
        count += 1
    return count


class Client:
    def __init__(self, server):
        self.analytics = analytics_pb2_grpc.AnalyticsServiceStub(server.channel(ANONYMOUS))
        self.operator = analytics_pb2_grpc.AnalyticsServiceStub(
            server.channel(operator(Role.OPERATOR))
        )
        self.pipeline = pipeline_pb2_grpc.PipelineServiceStub(
            server.channel(operator(Role.OPERATOR))
        )


@pytest.fixture
async def client(world):
    tokens = PageTokens(bytes(32), world.clock)
    reading = Reading(world.db)
    async with serving(
        (
            analytics_pb2_grpc.add_AnalyticsServiceServicer_to_server,
            AnalyticsServicer(world.db, tokens, world.clock, reading),
        ),
        (
            pipeline_pb2_grpc.add_PipelineServiceServicer_to_server,
            PipelineServicer(world.db, tokens, world.clock, lambda: None),
        ),
    ) as server:
        yield Client(server)


async def test_a_day_is_published_with_signals_that_equal_the_computation(world, client, walk):
    await history(world, walk, 40)
    assert not (await client.analytics.ListMovers(pb.ListMoversRequest())).movers
    with pytest.raises(AppError) as caught:
        await client.analytics.GetCardSignals(
            pb.GetCardSignalsRequest(name=f"cards/{card(7)}/signals")
        )
    assert (caught.value.kind, caught.value.reason) == (Kind.NOT_FOUND, "not_published")
    assert await drain(runner(world)) == 40
    panels = await Panels(world.db).upto(1, FIRST + timedelta(days=39))
    expected = signals.compute(panels.market, panels.low)
    shown = await client.analytics.GetCardSignals(
        pb.GetCardSignalsRequest(name=f"cards/{card(7)}/signals")
    )
    assert shown.basis.snapshot == f"snapshots/tcgplayer-{day_of(39)}-v1"
    assert shown.basis.data_version == 40
    at = panels.row_of(await world.db.fetchval("select card from cards where id = $1", card(7)))
    for place, value in enumerate(shown.values):
        known = expected.values[place, at]
        assert value.HasField("value") == (not math.isnan(known)) == (value.reason == 0)
        assert value.value == np.float32(0 if math.isnan(known) else known)
        assert value.reason == expected.reasons[place, at]
    assert sum(value.HasField("value") for value in shown.values) > 8


async def test_a_season_is_that_of_years_long_closed(world, client):
    quoted = {
        "2022-05-18": "10.00",  # two days before the same date: it is the newest known there
        "2022-06-19": "12.00",
        "2023-05-20": "10.00",
        "2023-06-15": "10.00",
        "2024-05-20": "20.00",
        "2024-06-19": "21.00",
        "2025-05-20": "40.00",
    }
    for day, price in quoted.items():
        await world.day(day, {1: price})
    await drain(runner(world))
    shown = await client.analytics.GetCardSignals(
        pb.GetCardSignalsRequest(name=f"cards/{card(1)}/signals")
    )
    value = {one.signal: one for one in shown.values}["signals/seasonality_30"]
    drift = math.log(40 / 10) / (date(2025, 5, 20) - date(2022, 5, 20)).days
    mean = (math.log(12 / 10) + 0 + math.log(21 / 20)) / 3
    assert value.value == np.float32(mean - 30 * drift)


async def test_a_signal_over_time_is_that_of_each_day(world, client, walk):
    await history(world, walk, 40)
    # One comes late.
    await world.day(day_of(40), {999: "5.00", 1: "1.00"})
    assert await drain(runner(world)) == 41
    days, token = [], None
    while token != "":
        page = await client.analytics.ListCardSignalDays(
            pb.ListCardSignalDaysRequest(
                parent=f"cards/{card(7)}",
                signal="signals/volatility_30",
                page_size=15,
                page_token=token or "",
            )
        )
        days += page.days
        token = page.next_page_token
    assert [one.basis.snapshot for one in days] == [
        f"snapshots/tcgplayer-{day_of(n)}-v1" for n in range(40, -1, -1)
    ]
    assert any(one.HasField("value") for one in days)
    assert any(one.reason for one in days)
    for number in (0, 20, 40):
        whole = await client.analytics.GetCardSignals(
            pb.GetCardSignalsRequest(name=f"cards/{card(7)}/signals", day=day_of(number))
        )
        [alone] = [one for one in whole.values if one.signal == "signals/volatility_30"]
        shown = days[40 - number]
        assert (shown.basis, shown.reason) == (whole.basis, alone.reason)
        assert shown.HasField("value") == alone.HasField("value")
        assert shown.value == alone.value
    late = await client.analytics.ListCardSignalDays(
        pb.ListCardSignalDaysRequest(parent=f"cards/{card(999)}", signal="signals/slope_7")
    )
    assert [one.basis.snapshot for one in late.days] == [f"snapshots/tcgplayer-{day_of(40)}-v1"]
    assert late.days[0].reason
    for wrong in ("slope_7", "signals/x"):
        with pytest.raises(AppError) as caught:
            await client.analytics.ListCardSignalDays(
                pb.ListCardSignalDaysRequest(parent=f"cards/{card(7)}", signal=wrong)
            )
        assert caught.value.reason == "unknown_value"


async def test_ranks_go_on_from_page_to_page_and_belong_to_one_version(world, client, walk):
    await history(world, walk, 40)
    await drain(runner(world))
    found, token = [], ""
    while True:
        answer = await client.analytics.ListSignalValues(
            pb.ListSignalValuesRequest(parent="signals/momentum_30", page_size=7, page_token=token)
        )
        found += [value.value for value in answer.values]
        token = answer.next_page_token
        if not token:
            break
    assert len(found) == answer.known_count == 30
    assert found == sorted(found, reverse=True)
    first = await client.analytics.ListSignalValues(
        pb.ListSignalValuesRequest(parent="signals/momentum_30", page_size=7)
    )
    await history(world, walk, 1, first=40)
    await drain(runner(world))
    with pytest.raises(AppError) as caught:
        await client.analytics.ListSignalValues(
            pb.ListSignalValuesRequest(
                parent="signals/momentum_30", page_size=7, page_token=first.next_page_token
            )
        )
    assert caught.value.reason == "page_token_invalid"


async def test_movers_follow_the_rule_and_name_it(world, client, walk):
    await history(world, walk, 40)
    await world.take(with_lows(walk, 40))
    await drain(runner(world))
    gain = await client.analytics.ListMovers(pb.ListMoversRequest(window_days=30))
    assert "5 quote changes in 30 days" in gain.rule
    assert len(gain.movers) > 3
    changes = [float(mover.change) for mover in gain.movers]
    assert changes == sorted(changes, reverse=True)
    assert min(changes) > 0
    for mover in gain.movers:
        number = int(mover.card.split("-")[1])
        assert mover.price == f"{walk[number - 1, 40] / 100:.2f}"
        assert mover.price_before == f"{walk[number - 1, 10] / 100:.2f}"
    thin = await client.analytics.ListMovers(pb.ListMoversRequest(window_days=30, thin=True))
    assert not {m.card for m in thin.movers} & {m.card for m in gain.movers}
    for wrong in ({"window_days": 8}, {"day": "01.05.2025"}):
        with pytest.raises(AppError) as caught:
            await client.analytics.ListMovers(pb.ListMoversRequest(**wrong))
        assert caught.value.kind is Kind.INVALID


async def test_an_anomaly_is_explained_and_keeps_what_was_said_of_it(world, client, walk):
    await history(world, walk, 40)
    await world.day(day_of(40), quoted(walk, 40, **{"4": 3 * int(walk[3, 39])}))
    pipeline = runner(world)
    await drain(pipeline)
    found = await client.analytics.ListAnomalies(
        pb.ListAnomaliesRequest(filter=f'day = "{day_of(40)}" AND resolved = false')
    )
    [one] = found.anomalies
    assert (one.card, one.day, one.currency_code) == (f"cards/{card(4)}", day_of(40), "USD")
    assert one.score > 1
    assert "+200.0%" in one.explanation
    query = "select event_id, payload from event_outbox where topic = 'pq.market.anomalies.v1'"
    [told] = await world.db.fetch(query)
    assert AnomalyDetected.FromString(told["payload"]).anomaly == one
    said = await client.operator.ResolveAnomaly(
        pb.ResolveAnomalyRequest(name=one.name, resolution="a reprint was announced")
    )
    assert said.resolution == "a reprint was announced"
    runs = await client.pipeline.ListPipelineRuns(pipe.ListPipelineRunsRequest(page_size=1))
    await client.pipeline.RetryPipelineRun(
        pipe.RetryPipelineRunRequest(name=runs.pipeline_runs[0].name)
    )
    assert await drain(pipeline) == 1
    assert await client.analytics.GetAnomaly(pb.GetAnomalyRequest(name=one.name)) == said
    assert await world.db.fetch(query) == [told]
    with pytest.raises(AppError) as caught:
        await client.analytics.ResolveAnomaly(
            pb.ResolveAnomalyRequest(name=one.name, resolution="mine")
        )
    assert caught.value.kind in (Kind.FORBIDDEN, Kind.UNAUTHENTICATED)


async def test_done_again_a_run_stores_the_same_bytes(world, client, walk):
    await history(world, walk, 40)
    await drain(runner(world))
    query = "select first_card, data from signal_blocks order by day, first_card"
    before = [tuple(r) for r in await world.db.fetch(query)]
    await world.db.execute("update pipeline_runs set state = 1, next_time = create_time")
    assert await drain(runner(world)) == 40
    assert [tuple(r) for r in await world.db.fetch(query)] == before


async def test_a_correction_is_a_version_of_its_own_and_has_the_newest_day_done_again(
    world, client, walk
):
    await history(world, walk, 40)
    pipeline = runner(world)
    await drain(pipeline)
    newest = pb.GetCardSignalsRequest(name=f"cards/{card(4)}/signals")
    before = await client.analytics.GetCardSignals(newest)
    await world.day(day_of(30), quoted(walk, 30, **{"4": 9999}))
    assert await drain(pipeline) == 2
    versions = await world.db.fetch(
        "select version from published where day = $1 order by version",
        FIRST + timedelta(days=30),
    )
    assert [r[0] for r in versions] == [1, 2]
    after = await client.analytics.GetCardSignals(newest)
    assert (before.basis.data_version, after.basis.data_version) == (40, 41)
    assert list(before.values) != list(after.values)


async def test_a_failed_run_publishes_nothing_says_why_and_is_tried_again(world, client, walk):
    await history(world, walk, 10)
    broken = Broken()
    pipeline = runner(world, broken)
    assert await drain(pipeline) == 10
    assert await world.rows("published") == await world.rows("signal_blocks") == 0
    listed = await client.pipeline.ListPipelineRuns(
        pipe.ListPipelineRunsRequest(filter="state = STATE_WAITING")
    )
    assert len(listed.pipeline_runs) == 10
    run = listed.pipeline_runs[0]
    assert (run.error, run.attempt_count) == ("ArithmeticError: no number", 1)
    assert run.next_time.ToDatetime() - run.end_time.ToDatetime() == timedelta(seconds=10)
    broken.fails = False
    assert await drain(pipeline) == 0
    world.clock.advance(11)
    assert await drain(pipeline) == 10
    status = await client.pipeline.GetPipelineStatus(
        pipe.GetPipelineStatusRequest(name="pipelineStatus")
    )
    [source] = status.sources
    assert (source.published_days, source.quoted_days, source.waiting_count) == (10, 10, 0)
    assert not source.HasField("last_failure")


async def test_days_too_old_to_keep_are_skipped_but_the_ends_of_months(world, walk):
    for number in (0, 5, 30, 20):
        await world.day((date(2024, 10, 1) + timedelta(days=number)).isoformat(), {1: "1.00"})
    await history(world, walk, 1)
    await drain(runner(world))
    days = await world.db.fetch("select day from published order by day")
    assert [r[0] for r in days] == [date(2024, 10, 31), FIRST]
    skipped = await world.db.fetchval("select count(*) from pipeline_runs where state = 4")
    assert skipped == 3
    assert (FIRST - date(2024, 10, 31)).days > KEPT_DAYS


async def test_numbers_of_old_days_are_forgotten_and_that_is_said(world, client, walk):
    for number, day in enumerate(("2025-01-30", "2025-01-31")):
        await world.day(day, quoted(walk, number))
        await drain(runner(world))
    ask = pb.GetCardSignalsRequest(name=f"cards/{card(7)}/signals", day="2025-01-30")
    await client.analytics.GetCardSignals(ask)
    await world.day("2025-05-20", quoted(walk, 2))
    await drain(runner(world))
    for table in ("signal_blocks", "mover_lists"):
        days = {row[0] for row in await world.db.fetch(f"select distinct day from {table}")}
        assert date(2025, 1, 31) in days, table
        assert date(2025, 1, 30) not in days, table
    for call in (
        client.analytics.GetCardSignals(ask),
        client.analytics.ListMovers(pb.ListMoversRequest(day="2025-01-30")),
    ):
        with pytest.raises(AppError) as caught:
            await call
        assert [(one.field, one.reason) for one in caught.value.violations] == [("day", "not_kept")]
    kept = pb.GetCardSignalsRequest(name=f"cards/{card(7)}/signals", day="2025-01-31")
    assert (await client.analytics.GetCardSignals(kept)).basis.day == "2025-01-31"


async def test_two_at_once_share_the_runs_and_none_is_made_twice(world, walk):
    await history(world, walk, 20)
    made = await asyncio.gather(*(drain(runner(world)) for _ in range(2)))
    assert sum(made) >= 20
    while await runner(world).run_once():
        pass
    counts = await world.db.fetch("select attempts from pipeline_runs")
    assert [r[0] for r in counts] == [1] * 20


async def test_a_suspect_fall_lowers_the_quality_until_a_later_quote_settles_it(
    world, client, walk
):
    for number in range(40):
        await world.take(with_lows(walk, number))
    await world.take(with_lows(walk, 40, **{"9": 300}))
    pipeline = runner(world)
    await drain(pipeline)
    question = pb.GetCardQualityRequest(name=f"cards/{card(9)}/quality")
    quality = await client.analytics.GetCardQuality(question)
    [tick] = quality.suspect_ticks
    listed = await client.analytics.ListSuspectTicks(pb.ListSuspectTicksRequest())
    [same] = listed.suspect_ticks
    assert (same.card, same.day, same.price) == (f"cards/{card(9)}", tick.day, tick.price)
    settled = pb.ListSuspectTicksRequest(filter="verdict = cleared")
    assert not (await client.analytics.ListSuspectTicks(settled)).suspect_ticks
    assert (tick.verdict, tick.price) == ("open", "3.00")
    trust = {part.part: part.value for part in quality.parts}["trust"]
    assert trust == 0
    assert "in 90 days" in quality.staleness
    await world.take(with_lows(walk, 41))
    await drain(pipeline)
    after = await client.analytics.GetCardQuality(question)
    assert (after.suspect_ticks[0].verdict, after.suspect_ticks[0].verdict_day) == (
        "confirmed",
        day_of(41),
    )
    assert after.score > quality.score
