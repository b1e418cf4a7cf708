"""Makes factor reports and backtests, one at a time; reports once a week by themselves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import orjson

from libs.clock import Clock
from libs.db import Database, is_transient
from libs.ids import Ids
from services.market.analytics import backtest, factor_report
from services.market.analytics.backtest import Rules
from services.market.analytics.factor_report import FACTORS
from services.market.analytics.panel import Panel
from services.market.analytics.ranks import centred
from services.market.domain.studies import Kind, State, Study
from services.market.handlers.companion import Companion
from services.market.store import indices, pipeline, published, studies
from services.market.store.panels import Panels, Prices

log = logging.getLogger(__name__)

REPORT_EVERY = timedelta(days=7)
# A source that is still getting days is left alone: the report would be old when it is done.
QUIET = timedelta(minutes=10)
# How many days a backtest may look at, its first 90 included.
BACKTEST_DAYS = 800
WARM_UP = 90
INDEX = "all-equal"
_BEAT = 20.0
_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS

Tell = Callable[[str, float], None]


class StudiesProcess(Companion):
    """Starts the process of studies when one waits, or is due."""

    module = "services.market.studies"
    poll = 15.0

    async def waits(self) -> bool:
        """Whether a study waits; a report that is due does."""
        now = self._clock.now()
        if await studies.due(self._db, now, REPORT_EVERY, QUIET):
            async with self._db.transaction() as tx:
                await studies.lock_due(tx)
                for source in await studies.due(tx, now, REPORT_EVERY, QUIET):
                    await studies.insert(tx, report_of("", source, Ids(self._clock), self._clock))
        return await studies.waits(self._db, now)

    async def heard(self, words: list[str]) -> None:
        """Nothing is counted."""


def report_of(source: str, number: int, ids: Ids, clock: Clock) -> Study:
    """A report that waits."""
    id, now = ids.uuid(), clock.now()
    return Study(id, Kind.FACTORS, source, number, None, {}, State.WAITING, "", now)


@dataclass(frozen=True, slots=True)
class _Done:
    first: date
    last: date
    code_version: str
    result: bytes


class Studies:
    """What the process does."""

    def __init__(self, db: Database, clock: Clock, panels: Panels) -> None:
        self._db = db
        self._clock = clock
        self._panels = panels

    async def run_once(self, tell: Tell = lambda _outcome, _seconds: None) -> bool:
        """Makes one study; answers whether there was one."""
        study = await studies.claim(self._db, self._clock.now())
        if study is None:
            return False
        begun = time.monotonic()
        try:
            async with self._alive(study):
                done, data_version = await self._make(study)
        except Exception as error:
            if is_transient(error):
                raise
            known = isinstance(error, LookupError | ValueError)
            if not known:
                log.exception("a study failed", extra={"study": str(study.id)})
            told = str(error.args[0]) if known and error.args else "something went wrong"
            await studies.fail(self._db, study.id, told, self._clock.now())
            tell("failed", time.monotonic() - begun)
            return True
        seconds = time.monotonic() - begun
        versions = (data_version, done.code_version)
        days, now = (done.first, done.last), self._clock.now()
        await studies.succeed(self._db, study, days, versions, seconds, done.result, now)
        tell("succeeded", seconds)
        return True

    async def _make(self, study: Study) -> tuple[_Done, int]:
        newest = await published.newest(self._db, study.source)
        if newest is None:
            raise LookupError("the source has published nothing")
        day, number = newest.of.day, study.source_number
        async with self._db.transaction() as tx:
            data_version = await pipeline.data_version(tx, number, day)
        if study.kind is Kind.FACTORS:
            prices = await self._panels.upto(number, day)
            return await asyncio.to_thread(_report, prices), data_version
        prices = await self._panels.upto(number, day, BACKTEST_DAYS)
        first = _first(study, prices.market)
        levels = (await indices.at(self._db, number, first, day)).get(INDEX, {})
        return await asyncio.to_thread(_backtest, study, prices, first, levels), data_version

    @asynccontextmanager
    async def _alive(self, study: Study) -> AsyncIterator[None]:
        """Says now and then that the study is being computed."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(_BEAT)
                with suppress(OSError):
                    await studies.still(self._db, study.id, self._clock.now())

        beating = asyncio.create_task(beat())
        try:
            yield
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating


def _report(prices: Prices) -> _Done:
    found = factor_report.report(prices.market, prices.low)
    result = orjson.dumps({"passed": found.passed, "report": found}, option=_JSON)
    return _Done(found.first, found.last, factor_report.CODE_VERSION, result)


def _first(study: Study, market: Panel) -> date:
    asked = study.asked["first"]
    earliest = market.first + timedelta(days=WARM_UP)
    first = date.fromisoformat(asked) if asked else earliest
    if not earliest <= first < market.last:
        raise ValueError(f"rules.first_day: expected a day from {earliest} to before {market.last}")
    return first


def _backtest(study: Study, prices: Prices, first: date, levels: dict[date, float]) -> _Done:
    weights, rules = study.asked["weights"], Rules(**study.asked["rules"])
    names = list(FACTORS)

    def score(market: Panel, low: Panel) -> Any:
        values = factor_report.exposures(market, low, rules.least_cents)
        return sum(weight * centred(values[names.index(name)]) for name, weight in weights.items())

    found = backtest.run(prices.market, prices.low, score, rules, first)
    known = [levels[day] for day in found.days if day in levels]
    told: dict[str, Any] = {
        **asdict(found),
        "worth": np.round(found.worth, 2),
        "net": np.round(found.net, 2),
        "last_worth": found.worth[-1],
        "last_net": found.net[-1],
        "index_return": known[-1] / known[0] - 1 if len(known) > 1 else None,
    }
    result = orjson.dumps(told, option=_JSON)
    return _Done(found.days[0], found.days[-1], backtest.CODE_VERSION, result)
