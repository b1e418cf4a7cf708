"""Factor reports, backtests and risk, from what is asked to what is shown."""

import asyncio
import math
from datetime import date, timedelta
from uuid import UUID

import numpy as np
import pytest

from libs.api import idempotency
from libs.api.erasure import Left
from libs.api.paging import PageTokens
from libs.auth import ANONYMOUS, Role
from libs.db import migrate
from libs.errors import AppError, Kind
from libs.testing.rpc import account, operator, serving
from pq.market.v1 import studies_pb2 as pb
from pq.market.v1 import studies_pb2_grpc
from services.market.analytics import backtest, factor_report, risk
from services.market.analytics.backtest import Rules
from services.market.analytics.ranks import centred
from services.market.handlers.pipeline.runner import Runner
from services.market.handlers.reading import Reading
from services.market.handlers.risk import Risks
from services.market.handlers.steps.indices import Indices
from services.market.handlers.studies import QUIET, REPORT_EVERY, Studies, StudiesProcess
from services.market.handlers.watchlists import Watchlists
from services.market.servicer.risk import RiskServicer
from services.market.servicer.studies import BacktestServicer, FactorServicer
from services.market.store import studies as store
from services.market.store.panels import Panels
from tests.integration.market.world import card

FIRST = date(2025, 1, 1)
DAYS = 130
CARDS = range(1, 41)
MINE, THEIRS = (UUID(f"01900000-0000-7000-8000-00000000000{n}") for n in (1, 2))
SUCCEEDED, FAILED, WAITING = (
    pb.STUDY_STATE_SUCCEEDED,
    pb.STUDY_STATE_FAILED,
    pb.STUDY_STATE_WAITING,
)


class Client:
    def __init__(self, server, wakes):
        self.wakes = wakes
        self.open = studies_pb2_grpc.FactorServiceStub(server.channel(ANONYMOUS))
        self.factors = studies_pb2_grpc.FactorServiceStub(server.channel(operator(Role.OPERATOR)))
        self.mine = studies_pb2_grpc.BacktestServiceStub(server.channel(account(MINE)))
        self.theirs = studies_pb2_grpc.BacktestServiceStub(server.channel(account(THEIRS)))
        self.risk = studies_pb2_grpc.RiskServiceStub(server.channel(ANONYMOUS))


@pytest.fixture
async def client(world, empty_database):
    await migrate(empty_database, [("api", idempotency.MIGRATIONS)])
    tokens, wakes = PageTokens(bytes(32), world.clock), []
    parts = (world.db, tokens, world.clock, world.ids, lambda: wakes.append(1))
    async with serving(
        (studies_pb2_grpc.add_FactorServiceServicer_to_server, FactorServicer(*parts)),
        (studies_pb2_grpc.add_BacktestServiceServicer_to_server, BacktestServicer(*parts)),
        (
            studies_pb2_grpc.add_RiskServiceServicer_to_server,
            RiskServicer(world.db, Reading(world.db), Risks(world.db)),
        ),
    ) as server:
        yield Client(server, wakes)


async def publish(world):
    """Half a year of forty cards, the newest day published with its indices."""
    dice = np.random.default_rng(11)
    moves = dice.normal(0, 0.03, (len(CARDS), DAYS)) * (dice.random((len(CARDS), DAYS)) < 0.6)
    walk = np.round(2_000 * np.exp(np.cumsum(moves, axis=1))).astype(int)
    for number in range(DAYS):
        day = (FIRST + timedelta(days=number)).isoformat()
        await world.day(day, {n: f"{walk[n - 1, number] / 100:.2f}" for n in CARDS})
    await world.db.execute(
        "delete from pipeline_runs where day < (select max(day) from pipeline_runs)"
    )
    runner = Runner(world.db, world.clock, Panels(world.db), [Indices()], timedelta(0))
    while await runner.run_once():
        pass
    return walk


def asked(**rules):
    rules = {"source": "tcgplayer", "weights": {"momentum_30": 1.0, "price": -0.5}} | rules
    return pb.CreateBacktestRequest(backtest=pb.Backtest(rules=pb.BacktestRules(**rules)))


async def refused(call):
    with pytest.raises(AppError) as caught:
        await call
    return caught.value


async def test_from_the_question_to_the_answer(world, client):
    walk = await publish(world)
    worker = Studies(world.db, world.clock, Panels(world.db))
    assert not await worker.run_once()

    made = await client.factors.CreateFactorReport(
        pb.CreateFactorReportRequest(source="tcgplayer", request_id="r")
    )
    assert (made.state, client.wakes) == (WAITING, [1])
    request = asked(rebalance_days=10, most_cards=5, fee=0.1)
    request.request_id = "r"
    wanted = await client.mine.CreateBacktest(request)
    assert wanted == await client.mine.CreateBacktest(request)
    assert await store.waits(world.db, world.clock.now())
    assert await worker.run_once()
    assert await worker.run_once()
    assert not await worker.run_once()

    report = await client.open.GetFactorReport(pb.GetFactorReportRequest(name=made.name))
    panels = await Panels(world.db).upto(1, FIRST + timedelta(days=DAYS - 1))
    expected = factor_report.report(panels.market, panels.low)
    assert (report.state, report.passed) == (SUCCEEDED, expected.passed)
    assert report.basis.data_version == DAYS
    assert [one.factor for one in report.factors] == list(factor_report.FACTORS)
    for shown, found in zip(report.factors, expected.factors, strict=True):
        for line, one in zip(shown.lines, found.lines, strict=True):
            assert line.ic.HasField("mean") is not math.isnan(one.ic)
            assert line.ic.mean == (0 if math.isnan(one.ic) else one.ic)
            assert line.canary_passed == one.canary.passed
    listed = await client.open.ListFactorReports(pb.ListFactorReportsRequest())
    assert [one.name for one in listed.factor_reports] == [made.name]

    done = await client.mine.GetBacktest(pb.GetBacktestRequest(name=wanted.name))
    rules = Rules(every=10, most=5, fee=0.1)
    names = list(factor_report.FACTORS)

    def score(market, low):
        values = factor_report.exposures(market, low, rules.least_cents)
        ranks = [centred(values[names.index(name)]) for name in ("momentum_30", "price")]
        return ranks[0] - 0.5 * ranks[1]

    first = FIRST + timedelta(days=90)
    own = backtest.run(panels.market, panels.low, score, rules, first)
    assert done.basis.first_day == first.isoformat()
    assert [one.worth_cents for one in done.result.days] == np.round(own.worth, 2).tolist()
    assert done.result.yearly_return == own.yearly
    assert done.result.HasField("index_return")
    assert len(done.result.trades) == len(own.rebalances) == 4
    [brief] = (await client.mine.ListBacktests(pb.ListBacktestsRequest())).backtests
    assert (brief.name, len(brief.result.days)) == (wanted.name, 0)
    assert brief.result.worth_cents == done.result.days[-1].worth_cents

    await of_a_basket(client, walk)
    await what_is_not_there(world, client, wanted)


async def of_a_basket(client, walk):
    holdings = [pb.Holding(card=f"cards/{card(n)}", copies=n) for n in (1, 2, 3)]
    found = await client.risk.ComputeBasketRisk(pb.ComputeBasketRiskRequest(holdings=holdings))
    assert found.worth_cents == sum(n * walk[n - 1, -1] for n in (1, 2, 3))
    assert sum(one.weight for one in found.cards) == pytest.approx(1)
    worth = np.full(365, np.nan)
    worth[-DAYS:] = sum(n * walk[n - 1].astype(float) for n in (1, 2, 3))
    assert found.volatility == pytest.approx(risk.volatility(worth))
    assert found.HasField("beta_28")
    assert not found.HasField("var_30")  # too few days to say
    assert found.index == "indices/tcgplayer:all-equal"
    for field, wrong in (
        ("holdings", []),
        ("holdings[0].copies", [pb.Holding(card=holdings[0].card, copies=-1)]),
        ("holdings[1].card", [holdings[0], holdings[0]]),
        ("holdings[0].card", [pb.Holding(card="cards/pokemon-99-holofoil", copies=1)]),
    ):
        call = client.risk.ComputeBasketRisk(pb.ComputeBasketRiskRequest(holdings=wrong))
        error = await refused(call)
        assert [one.field for one in error.violations] == [field]


async def what_is_not_there(world, client, wanted):
    call = client.theirs.GetBacktest(pb.GetBacktestRequest(name=wanted.name))
    assert (await refused(call)).kind is Kind.NOT_FOUND
    assert not (await client.theirs.ListBacktests(pb.ListBacktestsRequest())).backtests
    for field, rules in (
        ("backtest.rules.weights", {"weights": {}}),
        ("backtest.rules.weights[x]", {"weights": {"x": 1}}),
        ("backtest.rules.share", {"share": 1.5}),
        ("backtest.rules.premium", {"premium": -0.1}),
        ("backtest.rules.source", {"source": "nobody"}),
        ("backtest.rules.first_day", {"first_day": "soon"}),
    ):
        error = await refused(client.mine.CreateBacktest(asked(**rules)))
        assert [one.field for one in error.violations] == [field]
    early = await client.mine.CreateBacktest(asked(first_day="2025-01-02"))
    worker = Studies(world.db, world.clock, Panels(world.db))
    assert await worker.run_once()
    told = await client.mine.GetBacktest(pb.GetBacktestRequest(name=early.name))
    assert told.state == FAILED
    assert "rules.first_day: expected a day from 2025-04-01" in told.error
    for _ in range(3):
        await client.mine.CreateBacktest(asked())
    assert (await refused(client.mine.CreateBacktest(asked()))).reason == "too_many_backtests"
    delete = pb.DeleteBacktestRequest(name=told.name)
    assert (await refused(client.theirs.DeleteBacktest(delete))).kind is Kind.NOT_FOUND
    await client.mine.DeleteBacktest(delete)
    assert (await refused(client.mine.DeleteBacktest(delete))).kind is Kind.NOT_FOUND
    async with world.db.transaction() as tx:
        assert await Watchlists(world.clock, world.ids).erase(tx, MINE) is Left.NOTHING
    assert not await world.db.fetchval("select count(*) from studies where account = $1", MINE)


async def test_reports_come_by_themselves_once_a_week_and_what_was_abandoned_is_made(world):
    await world.day("2025-03-01", dict.fromkeys(CARDS, "5.00"))
    runner = Runner(world.db, world.clock, Panels(world.db), [Indices()], timedelta(0))
    while await runner.run_once():
        pass
    process = StudiesProcess(world.db, world.clock)
    assert not await process.waits()  # more days may be coming
    world.clock.advance(QUIET.total_seconds() + 1)
    found = await asyncio.gather(*(process.waits() for _ in range(3)))
    assert found == [True] * 3
    assert await world.db.fetchval("select count(*) from studies") == 1
    assert await store.claim(world.db, world.clock.now()) is not None
    assert not await process.waits()
    world.clock.advance(store.ABANDONED.total_seconds() + 1)
    assert await process.waits()  # whoever was at it is dead
    assert await Studies(world.db, world.clock, Panels(world.db)).run_once()
    world.clock.advance(REPORT_EVERY.total_seconds())
    assert not await process.waits()  # nothing new was published
    assert await world.db.fetchval("select min(state) from studies") == 3
