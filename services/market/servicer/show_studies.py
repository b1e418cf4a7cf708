"""Studies as they are shown. What is not known is null."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from libs.api.wire import resource_name, stamp
from pq.market.v1 import studies_pb2 as pb
from services.market.analytics.canaries import Shuffled
from services.market.analytics.factor_report import COST, FACTORS, LEAST_CENTS
from services.market.domain.studies import Asked, Study

_Json = Mapping[str, Any]
_RULES = {
    "rebalance_days": "every",
    "share": "share",
    "most_cards": "most",
    "copies": "copies",
    "least_cents": "least_cents",
    "fee": "fee",
    "fee_cents": "fee_cents",
    "premium": "premium",
    "start_cents": "start",
}


def factor_report_pb(study: Study) -> pb.FactorReport:
    """A report."""
    shown = pb.FactorReport(
        name=resource_name("factorReports", "fac", study.id),
        source=study.source,
        state=pb.StudyState.ValueType(study.state),
        error=study.error,
        create_time=stamp(study.create_time),
        end_time=stamp(study.end_time),
        basis=_basis(study),
        least_cents=LEAST_CENTS,
        cost=COST,
    )
    if study.result is not None:
        report = study.result["report"]
        shown.passed = study.result["passed"]
        shown.card_count = report["cards"]
        shown.factors.extend(map(_factor, report["factors"]))
        shown.joint.extend(
            pb.FactorReturn(factor=name, daily=_mean(one)) for name, one in report["joint"].items()
        )
        shown.recomputed_days.extend(report["recomputed"])
        shown.differing_days.extend(report["differing"])
    return shown


def asked_json(asked: Asked) -> _Json:
    """What is kept of a backtest that is asked for."""
    return {
        "weights": asked.weights,
        "rules": asdict(asked.rules),
        "first": asked.first.isoformat() if asked.first else "",
    }


def backtest_pb(study: Study) -> pb.Backtest:
    """A backtest; of one from a list the days are left out."""
    rules = study.asked["rules"]
    shown = pb.Backtest(
        name=resource_name("backtests", "bkt", study.id),
        display_name=study.asked["display_name"],
        rules=pb.BacktestRules(
            source=study.source,
            weights=study.asked["weights"],
            first_day=study.asked["first"],
            **{field: rules[name] for field, name in _RULES.items()},
        ),
        state=pb.StudyState.ValueType(study.state),
        error=study.error,
        create_time=stamp(study.create_time),
        end_time=stamp(study.end_time),
        basis=_basis(study),
    )
    if study.result is not None:
        shown.result.CopyFrom(_result(study.result))
    return shown


def _basis(study: Study) -> pb.StudyBasis | None:
    if study.first_day is None or study.last_day is None:
        return None
    took = Duration()
    took.FromTimedelta(timedelta(seconds=study.seconds or 0))
    return pb.StudyBasis(
        source=study.source,
        first_day=study.first_day.isoformat(),
        last_day=study.last_day.isoformat(),
        data_version=study.data_version or 0,
        code_version=study.code_version or "",
        duration=took,
    )


def _mean(one: _Json) -> pb.MeanOverDays:
    return pb.MeanOverDays(mean=one["mean"], t=one["t"], day_count=one["count"])


def _factor(one: _Json) -> pb.Factor:
    near, far = one["autocorrelation"]
    return pb.Factor(
        factor=one["name"],
        title=FACTORS.get(one["name"], ""),
        lines=map(_line, one["lines"]),
        decay=[
            pb.FactorDecay(horizon_days=int(horizon), ic=_mean(ic))
            for horizon, ic in one["decay"].items()
        ],
        quantile_returns=[value for value in one["quantiles"] if value is not None],
        autocorrelation_1=near,
        autocorrelation_30=far,
        cards_a_day=one["known"],
    )


def _line(one: _Json) -> pb.FactorLine:
    canary = one["canary"]
    return pb.FactorLine(
        kind=one["kind"],
        horizon_days=one["horizon"],
        ic=pb.MeanOverDays(mean=one["ic"], t=one["t"], day_count=one["days"]),
        naive_t=one["naive_t"],
        gross_spread=one["gross"],
        net_spread=one["net"],
        turnover=one["turnover"],
        shuffled_ic=canary["mean"],
        shuffled_error=canary["error"],
        canary_passed=canary["mean"] is not None and Shuffled(**canary).passed,
    )


def _result(one: _Json) -> pb.BacktestResult:
    return pb.BacktestResult(
        yearly_return=one["yearly"],
        volatility=one["volatility"],
        drawdown=one["drawdown"]["depth"],
        turnover=one["turnover"],
        fees_cents=one["fees_cents"],
        written_off_cents=one["written_off_cents"],
        worth_cents=one["last_worth"],
        net_cents=one["last_net"],
        index_return=one["index_return"],
        trades=[
            pb.BacktestTrade(
                day=trade["day"],
                eligible_count=trade["eligible"],
                held_count=trade["held"],
                bought_cents=trade["bought_cents"],
                sold_cents=trade["sold_cents"],
                fees_cents=trade["fees_cents"],
                copies=trade["copies"],
            )
            for trade in one["rebalances"]
        ],
        days=[
            pb.BacktestDay(day=day, worth_cents=worth, net_cents=net)
            for day, worth, net in zip(
                one.get("days", ()), one.get("worth", ()), one.get("net", ()), strict=True
            )
        ],
    )
